"""What `har clean` offers, and what it never touches."""

import json
import os
import shutil

import pytest
import yaml

from harlib.locks import Lock
from harlib.study.params.base import ParamsError
from harlib.study.runs import cleaning, listing

pytestmark = pytest.mark.quick


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_run(folder, params=None, status="complete", checkpoints=False, **state):
    """A run's folder with its parameters and state."""
    folder.mkdir(parents=True)
    values = {"study": folder.parent.name, "run": folder.name, "store": "", "data_root": ""}
    (folder / "params.yaml").write_text(yaml.safe_dump(values | (params or {})))
    (folder / "run.json").write_text(json.dumps({"status": status} | state))
    (folder / "model.keras").touch()
    if checkpoints:
        write_checkpoints(folder)
    return folder


def write_checkpoints(folder):
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("best.keras", "step-000000000-aa.npz", "step-000000009-bb.npz"):
        (folder / "checkpoints" / name).write_bytes(bytes(1000))


def write_store(folder, content="aaaa", done=True):
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "jump.h5").write_bytes(bytes(5000))
    (folder / ".sources.json").write_text("{}")
    if done:
        about = {"hash": content, "settings": {"codec": "jpeg"}, "files": [{}], "name": "mine"}
        (folder / "store.json").write_text(json.dumps(about))
    folder.with_name(f"{folder.name}-catalog.csv").write_text("video_id\n")
    return folder


def write_drawn(folder):
    for name in ("videos/train/sitting down/actorT00000_000000_000003.mp4", "videos.csv",
                 "stills/JPEGImages/waving_001.jpg", "stills/ImageSplits/actions.txt"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(700))
    (folder / "dataset.json").write_text('{"settings": {}, "complete": true}')
    return folder


def write_params(project, study, **values):
    folder = project / "params" / study
    folder.mkdir(parents=True)
    (folder / "03_c3d.yaml").write_text(yaml.safe_dump(values))


def offered(project, study=None):
    """{path: what} of the candidates."""
    found = cleaning.candidates(study)
    return {one.path.relative_to(project).as_posix(): one.what for one in found}


def test_what_a_project_can_do_without(project):
    runs, data = project / "runs" / "mine", project / "data" / "mine"
    write_run(runs / "01_data_prep")
    write_run(runs / "03_c3d", checkpoints=True)
    earlier = write_run(runs / "before" / "03_c3d", minutes=90.0, checkpoints=True)
    write_store(data / "store")
    write_store(data / "store-1234abcd", "bbbb")
    write_store(data / "store-5678abcd", done=False)
    write_drawn(data / "source")
    assert offered(project) == {
        "runs/mine/before/03_c3d": "earlier run",
        "runs/mine/03_c3d/checkpoints": "checkpoints of a complete run",
        "data/mine/store-1234abcd": "clip store that no run uses",
        "data/mine/store-5678abcd": "unfinished clip store that no run uses",
        "data/mine/source": "drawn videos",
    }
    found = cleaning.candidates("mine")
    text = cleaning.text(found)
    assert "params.yaml in it made them in 90 min." in text
    assert "Its videos must be decoded again: mine, 1 file, codec jpeg." in text
    assert text.splitlines()[-1].split() == [*listing.size(sum(c.bytes for c in found)).split(),
                                             "in", "all"]  # fmt: skip
    assert [c.bytes for c in found if c.path == earlier] == [listing.disk_bytes(earlier)]
    assert [c.bytes for c in found if c.path.name == "checkpoints"] == [2000]
    assert cleaning.delete(found) == found
    assert sorted(p.relative_to(data).as_posix() for p in data.rglob("*") if p.is_file()) == [
        "store-catalog.csv", "store/.sources.json", "store/store.json", "store/train/jump.h5",
    ]  # fmt: skip
    assert sorted(p.name for p in (runs / "03_c3d").rglob("*") if p.is_file()) == [
        "best.keras", "model.keras", "params.yaml", "run.json",
    ]  # fmt: skip
    assert not any((runs / "before").iterdir())
    assert cleaning.candidates() == [] and cleaning.text([]) == "Nothing to delete."


def test_a_folder_of_another_program_is_no_earlier_run(project):
    for name, file in (("a", "params.yaml"), ("b", "run.json")):
        folder = write_run(project / "runs" / "mine" / "before" / name)
        (folder / file).unlink()
    (project / "runs" / "mine" / "before" / "videos").mkdir()
    assert offered(project) == {}


def test_a_candidate_that_is_given_twice(project):
    write_run(project / "runs" / "mine" / "before" / "03_c3d")
    assert len(cleaning.delete(2 * cleaning.candidates())) == 1


def test_one_study_alone(project):
    for study in ("mine", "yours"):
        write_run(project / "runs" / study / "before" / "03_c3d")
    assert list(offered(project, "mine")) == ["runs/mine/before/03_c3d"]
    with pytest.raises(ParamsError, match="no study 'mien'; nearest valid name: 'mine'"):
        cleaning.candidates("mien")


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("store", {}),
        ("store-1", {"params": {"store": "data/mine/store-1"}}),
        ("store-1", {"store": "data/mine/store-1"}),
        ("store-1", {"store_hash": "aaaa"}),
        ("store-1", {"store_hash": "cccc, aaaa"}),
        ("store-1", {"made": {"data/mine/store": "data/mine/store-1"}}),
        ("stills-store-48", {"params": {"stills": "data/mine/source/stills"}}),
        ("stills-store-48-1", {"params": {"stills": "my-stills"}}),
    ],
)
@pytest.mark.parametrize(
    "place", ["mine/01_data_prep", "mine/before/03_c3d", "mine/07_ablations/base-seed0",
              "yours/copy"]
)  # fmt: skip
def test_a_store_that_a_run_uses(project, name, run, place):
    folder = write_run(project / "runs" / place, **run)
    values = yaml.safe_load((folder / "params.yaml").read_text()) | {"study": "mine"}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    write_store(project / "data" / "mine" / name)
    (project / "runs" / "mine").mkdir(exist_ok=True)
    used = f"data/mine/{name}"
    assert used not in offered(project)
    shutil.rmtree(folder)
    assert used in offered(project)


def test_a_store_in_whose_place_another_was_made(project):
    made = {"data/mine/store": "data/mine/store-1"}
    write_run(project / "runs" / "mine" / "01_data_prep", made=made)
    write_run(project / "runs" / "mine" / "03_c3d")
    for name, content in (("store", "old"), ("store-1", "new")):
        write_store(project / "data" / "mine" / name, content)
    assert list(offered(project)) == ["data/mine/store"]
    write_run(project / "runs" / "mine" / "04_resnext101", store_hash="old")
    assert offered(project) == {}


def test_a_store_that_only_a_parameter_file_names(project):
    write_params(project, "mine", epochs=3)
    write_params(project, "yours", store="data/mine/store-1")
    for name in ("store", "store-1", "store-2"):
        write_store(project / "data" / "mine" / name)
    assert list(offered(project)) == ["data/mine/store-2"]


@pytest.mark.parametrize("root", ["data/mine", "data/mine/store", "data/mine/store/train", "data",
                                  ".", "data/other/../mine"])  # fmt: skip
@pytest.mark.parametrize("where", ["run", "file"])
def test_a_data_root_is_never_touched_nor_what_lies_in_it(project, root, where):
    store = write_store(project / "data" / "mine" / "store")
    write_drawn(project / "data" / "mine" / "source")
    made = {"data/mine/store": "data/mine/store-1"}
    write_run(project / "runs" / "mine" / "01_data_prep", made=made)
    assert len(offered(project)) == 2
    root = root if root == "." else str(project / root)
    if where == "run":
        write_run(project / "runs" / "yours" / "03_c3d", {"data_root": root})
    else:
        write_params(project, "yours", data_root=root)
    left = offered(project)
    assert "data/mine/store" not in left
    assert ("data/mine/source" in left) == ("store" in root)
    cleaning.delete(cleaning.candidates())
    assert store.is_dir()


def test_links_are_neither_followed_nor_deleted(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    videos = outside / "videos" / "jump" / "a.mp4"
    videos.parent.mkdir(parents=True)
    videos.write_bytes(bytes(100))
    whole = write_store(outside / "store")
    elsewhere = write_run(outside / "runs" / "before" / "03_c3d", checkpoints=True)
    data, runs = project / "data" / "mine", project / "runs"
    inside = write_store(data / "store-1")
    (inside / "train" / "more.h5").symlink_to(videos)
    inner = write_drawn(data / "source")
    (inner / "videos" / "val").symlink_to(outside / "videos")
    (data / "link").symlink_to(outside / "videos")
    (data / "linked-store").symlink_to(whole)
    (runs / "mine" / "before").mkdir(parents=True)
    (runs / "mine" / "before" / "03_c3d").symlink_to(elsewhere)
    (runs / "mine" / "04_resnext101").symlink_to(elsewhere)
    (runs / "yours").symlink_to(outside / "runs")
    earlier = write_run(runs / "mine" / "before" / "02_frame_cnn")
    (earlier / "videos").symlink_to(outside / "videos")
    assert list(offered(project)) == ["runs/mine/before/02_frame_cnn"]
    cleaning.delete(cleaning.candidates())
    assert not earlier.exists() and videos.is_file() and whole.is_dir() and elsewhere.is_dir()
    assert (elsewhere / "checkpoints" / "step-000000000-aa.npz").is_file()


@pytest.mark.parametrize("name", ["jump.mp4", "train/jump.mp4", "videos/a.h5", "notes.txt"])
def test_a_folder_that_holds_anything_of_a_person_stays(project, name):
    for folder in (write_store(project / "data" / "mine" / "store"),
                   write_drawn(project / "data" / "mine" / "source")):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert offered(project) == {}


def test_a_folder_of_videos_in_the_data_of_a_study_stays(project):
    for name in ("mine/videos/jump/a.mp4", "mine/store/jump/a.mp4", "mine/a.mp4"):
        (project / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "data" / name).touch()
    assert cleaning.candidates() == []


def test_what_another_process_works_on_stays(project):
    runs, data = project / "runs" / "mine", project / "data" / "mine"
    write_run(runs / "03_c3d", checkpoints=True)
    write_run(runs / "before" / "02_frame_cnn")
    write_store(data / "store-1")
    every = set(offered(project))
    assert len(every) == 3
    with Lock(runs / ".03_c3d.lock", "it"):
        assert set(offered(project)) == {"runs/mine/before/02_frame_cnn"}
    with Lock(runs / "before" / ".02_frame_cnn.lock", "it"):
        assert set(offered(project)) == every - {"runs/mine/before/02_frame_cnn"}
    with Lock(runs / "03_c3d" / ".stills.lock", "it"), Lock(data / "store-1" / ".lock", "it"):
        assert "data/mine/store-1" not in offered(project)
    assert set(offered(project)) == every


@pytest.mark.parametrize("file", ["run.json", "params.yaml"])
@pytest.mark.parametrize("content", ["{", "[1]", '{"status": 1, "made": 3, "a": "\\0"}', b"\xff"])
@pytest.mark.parametrize("place", ["yours/03_c3d", "mine/before/02_frame_cnn"])
def test_while_a_file_cannot_be_read_nobody_knows_what_it_names(project, file, content, place):
    runs = project / "runs"
    write_run(runs / "mine" / "before" / "04_resnext101")
    write_run(runs / "mine" / "03_c3d", checkpoints=True)
    write_store(project / "data" / "mine" / "store-1")
    broken = write_run(runs / place) / file
    assert cleaning.doubts() == []
    broken.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert list(offered(project)) == ["runs/mine/03_c3d/checkpoints"]
    (line,) = cleaning.doubts()
    assert line.startswith(f"runs/{place}/{file}") and "\n" not in line


def test_a_corrupt_run_keeps_its_own_checkpoints(project):
    folder = write_run(project / "runs" / "mine" / "03_c3d", checkpoints=True)
    (folder / "run.json").write_text("{")
    assert cleaning.candidates() == []


def test_checkpoints_that_a_training_may_need(project):
    runs = project / "runs" / "mine"
    write_run(runs / "02_frame_cnn", status="started", checkpoints=True)
    write_run(runs / "03_c3d", status="failed", checkpoints=True)
    (write_run(runs / "04_resnext101", checkpoints=True) / "model.keras").unlink()
    otherwise = write_run(runs / "09_pretrained", {"clips": 10}, checkpoints=True)
    (otherwise / "metrics.json").write_text('{"protocol": {"clips": 4}}')  # it is scored again
    for name in ("base-seed0", "wide-seed0"):
        write_run(runs / "07_ablations" / name, checkpoints=True)
    assert cleaning.candidates() == []
    around = {"status": "complete"}
    (runs / "07_ablations" / "run.json").write_text(json.dumps(around))
    (runs / "07_ablations" / "wide-seed0" / "run.json").write_text('{"status": "started"}')
    assert list(offered(project)) == ["runs/mine/07_ablations/base-seed0/checkpoints"]


def test_stills_are_part_of_their_run(project):
    folder = write_run(project / "runs" / "mine" / "02_frame_cnn")
    write_checkpoints(folder / "stills")
    (folder / "stills" / "model.keras").touch()
    assert list(offered(project)) == ["runs/mine/02_frame_cnn/stills/checkpoints"]
    (folder / "run.json").write_text('{"status": "started"}')
    assert offered(project) == {}


@pytest.mark.parametrize("weights", ["runs/mine/before/03_c3d",
                                     "runs/mine/before/03_c3d/model.keras"])  # fmt: skip
def test_an_earlier_run_that_another_begins_from(project, weights):
    write_run(project / "runs" / "mine" / "before" / "03_c3d")
    write_params(project, "yours", weights=weights)
    assert offered(project) == {}


def test_drawn_videos_that_are_needed_still(project):
    run = write_run(project / "runs" / "mine" / "01_data_prep", status="started")
    for name in ("source", "source-1"):
        write_drawn(project / "data" / "mine" / name)
    assert offered(project) == {}
    made = {"data/mine/source": "data/mine/source-1"}
    (run / "run.json").write_text(json.dumps({"status": "complete", "made": made}))
    assert list(offered(project)) == ["data/mine/source", "data/mine/source-1"]
    write_params(project, "mine", stills="data/mine/source/stills")
    assert list(offered(project)) == ["data/mine/source"]  # the stills are in the other one


def test_half_written_files(project):
    run = write_run(project / "runs" / "mine" / "03_c3d")
    store = write_store(project / "data" / "mine" / "store")
    part = f".part-{'0' * 32}-metrics.part"
    left = [run / part, store / "train" / part, run / "checkpoints" / ".part-123.npz"]
    exports = [run / "export" / f".model.onnx.export-{pid}-1" for pid in (2**22 + 1, os.getpid())]
    kept = [run / ".part-mine", run / "notes.part", project / "data" / "mine" / part]
    for path in (*left, *kept, *(folder / "model.onnx" for folder in exports)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(10))
    assert offered(project) == {}  # somebody may be writing them
    for path in (*left, *kept, *exports, *(folder / "model.onnx" for folder in exports)):
        os.utime(path, (0, 0))
    found = cleaning.candidates()
    assert {one.path for one in found} == {*left, *exports}  # of a process as old as its number
    alive = exports[1].with_name(f".model.onnx.export-{os.getpid()}-{_created()}")
    exports[1].rename(alive)
    os.utime(alive, (0, 0))
    cleaning.delete(found)
    assert alive.is_dir() and not exports[0].exists() and not any(map(os.path.exists, left))
    assert all(path.is_file() for path in kept)


def _created():
    import psutil

    return int(psutil.Process().create_time())


def test_what_was_taken_up_meanwhile_is_not_deleted(project):
    write_store(project / "data" / "mine" / "store-1")
    write_store(project / "data" / "mine" / "store-2")
    found = cleaning.candidates()
    assert len(found) == 2
    write_run(project / "runs" / "yours" / "03_c3d", {"store": "data/mine/store-1"})
    assert [one.path.name for one in cleaning.delete(found)] == ["store-2"]
    assert (project / "data" / "mine" / "store-1" / "train" / "jump.h5").is_file()
    assert cleaning.delete(found) == []


def test_nothing_but_a_candidate_is_deleted(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("videos")
    write_store(project / "data" / "mine" / "store-1")
    (one,) = cleaning.candidates()
    for path in (outside, project, project / "data"):
        mine = cleaning.Candidate(path, one.what, 0, "", (path,))
        other = cleaning.Candidate(one.path, "another thing", 0, "", (path,))
        assert cleaning.delete([mine, other]) == []
    assert outside.is_dir() and one.path.is_dir()


def test_a_run_copied_elsewhere_stays_there(project, tmp_path_factory):
    folder = write_run(project / "runs" / "mine" / "before" / "03_c3d", checkpoints=True)
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("usb") / "runs" / "mine" / "03_c3d")
    cleaning.delete(cleaning.candidates())
    assert not folder.exists() and (copy / "checkpoints" / "step-000000000-aa.npz").is_file()


def test_a_killed_deletion_is_finished_by_the_next(project, monkeypatch):
    store = write_store(project / "data" / "mine" / "store-1")
    earlier = write_run(project / "runs" / "mine" / "before" / "03_c3d")
    (project / "data" / "mine" / ".deleted-mine").mkdir()

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            cleaning.delete(cleaning.candidates())
    assert not store.exists() and not earlier.exists()  # nobody finds half of them
    left = cleaning.candidates()
    assert {one.what for one in left} == {"left of an interrupted har clean"} and len(left) == 2
    write_store(store)
    assert len(cleaning.delete(cleaning.candidates())) == 3
    assert [item.name for item in (project / "data" / "mine").iterdir()] == [".deleted-mine"]
