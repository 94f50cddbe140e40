import numpy as np
import pytest

from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.published_lists import CatalogError

pytestmark = pytest.mark.quick


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


KINETICS = """label,youtube_id,time_start,time_end,split
sit down,aaaaaaaaaaa,5,15,train
run,-bbb_bbbbbb,417,427,train
run,ccccccccccc,3,13,validate
run,ddddddddddd,3,13,test
"""


@pytest.mark.parametrize("layout", ["", "{label}/", "{split}/{label}/"])
def test_kinetics_layouts(tmp_path, layout):
    (tmp_path / "list.csv").write_text(KINETICS)
    names = [
        ("train", "sit_down", "aaaaaaaaaaa_000005_000015.mp4"),
        ("train", "run", "-bbb_bbbbbb_000417_000427.mkv"),
        ("val", "run", "ccccccccccc.mp4"),  # whole, the part comes from the list
    ]
    for split, label, name in names:
        touch(tmp_path / "videos", layout.format(split=split, label=label) + name)
    catalog = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path / "videos")
    frame = catalog.frame.set_index("group")
    assert catalog.categories == ["run", "sit down"]
    assert frame["split"].to_dict() == {
        "aaaaaaaaaaa": "train",
        "-bbb_bbbbbb": "train",
        "ccccccccccc": "val",
        "ddddddddddd": "test",
    }
    assert frame.loc["-bbb_bbbbbb", "path"].endswith("-bbb_bbbbbb_000417_000427.mkv")
    assert np.isnan(frame.loc["-bbb_bbbbbb", "start_s"])
    assert frame.loc["ccccccccccc", ["start_s", "end_s"]].tolist() == [3, 13]
    assert frame.loc["ddddddddddd", "path"] == ""
    assert frame.loc["aaaaaaaaaaa", "video_id"] == "aaaaaaaaaaa_000005_000015"


def test_kinetics_column_order_and_several_lists(tmp_path):
    # the CVDF copies add a column, others order them differently
    (tmp_path / "train.csv").write_text(
        "youtube_id,split,label,time_start,time_end,is_cc\naaaaaaaaaaa,train,run,5.0,15.0,0\n"
    )
    (tmp_path / "val.csv").write_text(
        "label,youtube_id,time_start,time_end,split,is_cc\nsit,bbbbbbbbbbb,5,15,val,0\n"
    )
    lists = [tmp_path / "train.csv", tmp_path / "val.csv"]
    catalog = Catalog.from_kinetics_csv(lists, tmp_path)
    assert catalog.frame["video_id"].tolist() == [
        "aaaaaaaaaaa_000005_000015",
        "bbbbbbbbbbb_000005_000015",
    ]
    assert catalog.name == "train+val"
    assert Catalog.from_kinetics_csv(lists, tmp_path, ["sit"]).categories == ["sit"]


def test_of_files_with_one_name_the_folders_decide(tmp_path):
    (tmp_path / "list.csv").write_text(KINETICS)
    for label in ("climb", "sit down", "zap"):
        touch(tmp_path / "videos" / label, "aaaaaaaaaaa_000005_000015.mp4")
    frame = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path / "videos").frame
    assert "/sit down/" in frame.set_index("group").loc["aaaaaaaaaaa", "path"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,youtube_id\nrun,a\n", "columns .* are missing"),
        (KINETICS + "run,e,ten,20,train\n", "line 6: times .*ten.* are no numbers"),
        (KINETICS + "run,e,20,10,train\n", "line 6: no part from 20.0 s to 10.0 s"),
        (KINETICS + "run,e,nan,10,train\n", "line 6: no part from nan s"),
        (KINETICS + "run,e,1,10,dev\n", "line 6: unknown split 'dev'"),
        (KINETICS + "run,aaaaaaaaaaa,20,30,val\n", "groups lie on two sides"),
        ("", "not a readable CSV"),
        ("\0\1\2", "columns"),
    ],
)
def test_wrong_kinetics_lists(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(CatalogError, match=message) as caught:
        Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path)
    assert "\n" not in str(caught.value)


def test_hostile_cells_name_no_files(tmp_path):
    touch(tmp_path, "secret.mp4", "videos/good.mp4")
    (tmp_path / "list.csv").write_text(
        "label,youtube_id,time_start,time_end,split\n../../run,../secret,0,10,train\n"
    )
    frame = Catalog.from_kinetics_csv(tmp_path / "list.csv", tmp_path / "videos").frame
    assert frame["path"].tolist() == [""]


def write_ucf101(root):
    (root / "classInd.txt").write_text("1 Punch\n2 PushUps\n")
    (root / "trainlist01.txt").write_text(
        "Punch/v_Punch_g08_c01.avi 1\nPushUps/v_PushUps_g09_c02.avi 2\n"
    )
    (root / "testlist01.txt").write_text("Punch/v_Punch_g01_c01.avi\n")


def test_ucf101(tmp_path):
    write_ucf101(tmp_path)
    touch(tmp_path, "videos/Punch/v_Punch_g08_c01.avi", "videos/Punch/v_Punch_g01_c01.avi")
    touch(tmp_path, "videos/Punch/v_Punch_g02_c01.avi")  # in no list
    catalog = Catalog.from_ucf101(tmp_path / "videos", tmp_path)
    frame = catalog.frame.set_index("video_id")
    assert catalog.categories == ["Punch", "PushUps"] and len(catalog) == 3
    assert frame["split"].to_dict() == {
        "v_Punch_g01_c01": "test",
        "v_Punch_g08_c01": "train",
        "v_PushUps_g09_c02": "train",
    }
    assert frame.loc["v_Punch_g08_c01", "group"] == "Punch_g08"
    assert frame.loc["v_PushUps_g09_c02", "path"] == ""
    with pytest.raises(CatalogError, match="trainlist02.txt: no such file"):
        Catalog.from_ucf101(tmp_path / "videos", tmp_path, split=2)
    (tmp_path / "trainlist01.txt").write_text("Punch/v_Punch_g08_c01.avi 2\n")
    with pytest.raises(CatalogError, match="line 1: .* disagrees with classInd.txt"):
        Catalog.from_ucf101(tmp_path / "videos", tmp_path)
    with pytest.raises(CatalogError, match="no such folder"):
        Catalog.from_ucf101(tmp_path / "none", tmp_path)


def test_hmdb51(tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "brush_hair_test_split1.txt").write_text(
        "April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1 \n"
        "April_09_brush_hair_u_nm_np1_ba_goo_1.avi 1 \n"
        "My [x]!_brush_hair_h_cm_np1_le_goo_1.avi 2 \n"
        "Left_brush_hair_h_cm_np1_le_goo_0.avi 0 \n"
    )
    (lists / "run_test_split1.txt").write_text(
        "Film_run_f_cm_np1_ba_med_0.avi 1\nFilm_run_f_cm_np1_ba_med_7.avi 2\n"
        "April_09_run_f_cm_np1_ba_med_0.avi 2\n"
    )
    (lists / "run_test_split2.txt").write_text("Film_run_f_cm_np1_ba_med_0.avi 2\n")
    touch(tmp_path, "videos/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi")
    with pytest.warns(UserWarning, match="clips of 1 sources .* these 2 clips are groups of their"):
        catalog = Catalog.from_hmdb51(tmp_path / "videos", lists)
    frame = catalog.frame.set_index("video_id")
    assert catalog.categories == ["brush hair", "run"] and len(catalog) == 6
    assert frame["split"].value_counts().to_dict() == {"train": 3, "test": 3}
    april = frame.loc["April_09_brush_hair_u_nm_np1_ba_goo_0"]
    assert april["group"] == "brush_hair/April_09" and april["path"]
    # two clips of one film, which the list itself puts on both sides
    assert frame.loc["Film_run_f_cm_np1_ba_med_7", "group"] == "run/Film_run_f_cm_np1_ba_med_7"
    assert len(Catalog.from_hmdb51(tmp_path / "videos", lists, split=2)) == 1
    with pytest.raises(CatalogError, match="has no lists <action>_test_split3.txt"):
        Catalog.from_hmdb51(tmp_path / "videos", lists, split=3)
    (lists / "run_test_split1.txt").write_text("Film_run_f_cm_np1_ba_med_0.avi 3\n")
    with pytest.raises(CatalogError, match="line 1: .* is no NAME.avi and 0, 1 or 2"):
        Catalog.from_hmdb51(tmp_path / "videos", lists)


@pytest.mark.parametrize("ending", ["", ".avi"])
def test_folders_of_frames_are_listed_videos(tmp_path, ending):
    """As 3D-ResNets-PyTorch and TSN lay them out."""
    frames = [f"image_{number:05d}.jpg" for number in (1, 2, 3)]
    flow = [f"flow_x_{number:05d}.jpg" for number in (1, 2, 3)]
    jpg = tmp_path / "jpg"

    def extracted(place):
        touch(jpg, *(f"{place}{ending}/{name}" for name in (*frames, *flow, "n_frames")))
        return str(jpg / f"{place}{ending}")

    write_ucf101(tmp_path)
    punch = extracted("Punch/v_Punch_g08_c01")
    catalog = Catalog.from_ucf101(jpg, tmp_path)
    assert catalog.found == 1 and max(catalog.frame["path"]) == punch
    assert "1 folder of numbered images is a video, first Punch/v_Punch" in catalog.notes[0]
    assert "so 25 are taken" in catalog.notes[0]
    assert "flow" not in " ".join(catalog.notes).partition("beside the frames")[0]
    stated = Catalog.from_ucf101(jpg, tmp_path, frame_fps=24)
    assert max(stated.frame["path"]) == f"{punch}?fps=24"

    run = extracted("run/A.Film.v2_run_f_cm_np1_ba_med_0")
    (tmp_path / "run_test_split1.txt").write_text("A.Film.v2_run_f_cm_np1_ba_med_0.avi 1\n")
    assert Catalog.from_hmdb51(jpg, tmp_path).frame["path"].tolist() == [run]

    (tmp_path / "list.csv").write_text(KINETICS)
    trimmed, whole = extracted("run/-bbb_bbbbbb_000417_000427"), extracted("val/ccccccccccc")
    frame = Catalog.from_kinetics_csv(tmp_path / "list.csv", jpg).frame.set_index("group")
    assert frame.loc["-bbb_bbbbbb", "path"] == trimmed
    assert frame.loc["ccccccccccc", ["path", "start_s", "end_s"]].tolist() == [whole, 3, 13]


def test_frames_beside_the_listed_videos_are_left_out_and_said(tmp_path):
    write_ucf101(tmp_path)
    touch(tmp_path, "videos/Punch/v_Punch_g08_c01.avi", "videos/Punch/v_Punch_g08_c01.jpg",
          *(f"videos/jpg/v_Punch_g01_c01/{n}.jpg" for n in (1, 2)))  # fmt: skip
    catalog = Catalog.from_ucf101(tmp_path / "videos", tmp_path, frame_fps=30)
    assert catalog.found == 1 and catalog.frame["path"].str.endswith(".avi").sum() == 1
    assert "Left out: 1 folder of numbered images beside 1 video" in catalog.notes[0]
    assert "frame_fps (30) is of no use" in catalog.notes[1]


def test_stanford40(tmp_path):
    touch(tmp_path, "JPEGImages/blowing_bubbles_001.jpg", "JPEGImages/blowing_bubbles_002.jpg")
    (tmp_path / "ImageSplits").mkdir()
    (tmp_path / "ImageSplits/actions.txt").write_text("action_name\tnumber_of_images\n")
    (tmp_path / "ImageSplits/blowing_bubbles_train.txt").write_text("blowing_bubbles_001.jpg\n")
    (tmp_path / "ImageSplits/blowing_bubbles_test.txt").write_text(
        "blowing_bubbles_002.jpg\nblowing_bubbles_003.jpg\n"
    )
    frame = Catalog.from_stanford40(tmp_path).frame
    assert set(frame["category"]) == {"blowing bubbles"}
    assert frame["split"].value_counts().to_dict() == {"test": 2, "train": 1}
    assert (frame["path"] == "").sum() == 1


def test_stills_lie_in_a_folder_per_category_too_and_are_no_videos(tmp_path):
    touch(tmp_path, *(f"{c}/{c}{n}.jpg" for c in ("run", "sit") for n in range(9)))
    frame = Catalog.from_stills(tmp_path).frame
    assert set(frame["category"]) == {"run", "sit"} and set(frame["split"]) == {"train", "val"}
    touch(tmp_path / "moving", *(f"{c}/{c}{n}.mp4" for c in ("run", "sit") for n in range(2)))
    with pytest.raises(CatalogError, match=r"holds videos, first .*run0\.mp4: stills are pictures"):
        Catalog.from_stills(tmp_path / "moving")


def test_folder_with_splits(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "train/sit/a.mp4", "validation/run/b.mp4", "val/.x.mp4")
    frame = Catalog.from_folder(tmp_path).frame
    assert frame["video_id"].tolist() == ["train/run/a", "train/sit/a", "validation/run/b"]
    assert frame["split"].tolist() == ["train", "train", "val"]
    touch(tmp_path, "odd.mp4")
    with pytest.raises(CatalogError, match="4 videos, not all at"):
        Catalog.from_folder(tmp_path)


def test_folder_without_splits_holds_out_whole_groups(tmp_path):
    for category in ("run", "sit"):
        for group in range(10):
            touch(tmp_path, *(f"{category}/v_{category}_g{group:02d}_c{n}.avi" for n in range(3)))
    frame = Catalog.from_folder(tmp_path, val=0.2, seed=1).frame
    sides = frame.drop_duplicates("group").groupby(["category", "split"]).size()
    assert all(1 <= sides[category, "val"] <= 3 for category in ("run", "sit"))  # of 10, 2 asked
    assert frame["group"].nunique() == 20 and frame.groupby("group")["split"].nunique().max() == 1
    again = Catalog.from_folder(tmp_path, val=0.2, seed=1)
    assert again.frame.equals(frame)
    assert not Catalog.from_folder(tmp_path, val=0.2, seed=2).frame.equals(frame)
    # groups that span categories: each actor on one side
    actors = Catalog.from_folder(tmp_path, val=0.2, group=r"_g(\d\d)").frame
    assert actors["group"].nunique() == 10
    assert 1 <= actors.loc[actors["split"] == "val", "group"].nunique() <= 3
    for val in (0, 0.6, float("nan")):
        with pytest.raises(CatalogError, match=r"val is .*: the share of groups held out must be"):
            Catalog.from_folder(tmp_path, val=val)
    with pytest.raises(CatalogError, match=r"group is '\(IMG', no regular expression: missing \)"):
        Catalog.from_folder(tmp_path, group="(IMG")
    with pytest.raises(CatalogError, match=r"group is 'IMG': a part of it must be in"):
        Catalog.from_folder(tmp_path, group="IMG")
    with pytest.raises(CatalogError, match="finds no group in"):
        Catalog.from_folder(tmp_path, group=r"x*(z)?")
    with pytest.raises(CatalogError, match="finds no group in"):
        Catalog.from_folder(tmp_path, group=r"actor(\d)")


def test_links_in_circles_end(tmp_path):
    touch(tmp_path, "train/run/a.mp4")
    (tmp_path / "train/run/back").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "train/loop").symlink_to(tmp_path / "train/loop")
    assert len(Catalog.from_folder(tmp_path)) == 1


@pytest.mark.real
@pytest.mark.parametrize(("number", "videos"), [(400, 19_906), (600, 30_000)])
def test_official_kinetics_lists(real_data, tmp_path, number, videos):
    annotations = real_data / "annotations"
    catalog = Catalog.from_kinetics_csv(annotations / f"kinetics-{number}_val.csv", tmp_path)
    assert (len(catalog), len(catalog.categories)) == (videos, number)
    names = (annotations / f"kinetics_{number}_labels.txt").read_text().splitlines()
    assert catalog.categories == sorted(name.strip() for name in names)


@pytest.mark.real
@pytest.mark.parametrize("split", [1, 2, 3])
def test_official_ucf101_lists(real_data, split):
    lists = real_data / "annotations" / "ucf101_ucfTrainTestlist"
    catalog = Catalog.from_ucf101(real_data / "ucf101_mini" / "videos", lists, split=split)
    counts = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}[split]
    assert tuple((catalog.frame["split"] == side).sum() for side in ("train", "test")) == counts
    assert len(catalog.categories) == 101
    assert (catalog.frame["path"] != "").sum() == 144


@pytest.mark.real
def test_real_folders(real_data):
    mini = Catalog.from_ucf101(real_data / "ucf101_mini" / "videos", real_data / "ucf101_mini")
    assert mini.frame["split"].value_counts().to_dict() == {"train": 90, "test": 54}
    assert (mini.frame["path"] != "").all()
    weizmann = Catalog.from_folder(
        real_data / "weizmann9" / "clips_80x64", val=1 / 3, group=r"^([a-z]+)_"
    ).frame
    assert weizmann["group"].nunique() == 9
    assert 2 <= weizmann.loc[weizmann["split"] == "val", "group"].nunique() <= 4
