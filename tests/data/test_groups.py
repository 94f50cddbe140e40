"""Groups are looked for in names: found where they are plain, unknown where names only count."""

import os

import pytest

from harlib.data.catalog import groups
from harlib.data.catalog.catalog import Catalog
from harlib.data.catalog.groups import Video
from harlib.data.catalog.own_videos import unknown_groups
from harlib.data.catalog.published_lists import CatalogError

pytestmark = pytest.mark.quick

CATEGORIES = ("walk", "run", "jump")
ACTORS = ("daria", "denis", "eli")


def videos(pattern, **values):
    """A video for each category `c` with its number `i`, and each value of each further name."""
    made = [{"c": c, "i": i} for i, c in enumerate(CATEGORIES)]
    for name, several in values.items():
        made = [{**one, name: value} for one in made for value in several]
    listed = []
    for one in made:
        *folder, name = pattern.format(**one).split("/")
        listed.append(Video(os.path.splitext(name)[0], "/".join(folder), one["c"]))
    return listed


FOUND = [
    # who acts, as the first word that categories share
    ("{a}_{c}.avi", {"a": ACTORS}, set(ACTORS), "first word"),
    ("{a}_{c}{n}.avi", {"a": ACTORS, "n": (1, 2)}, set(ACTORS), "first word"),
    ("{a}{n}.avi", {"a": ACTORS, "n": (1, 2)}, set(ACTORS), "first word"),
    ("{a}.avi", {"a": ACTORS}, set(ACTORS), "first word"),
    ("{c}_{a}_{n}.avi", {"a": ACTORS, "n": (1, 2)}, set(ACTORS), "first word"),
    ("{c}ing-{a}-{n}.avi", {"a": ACTORS, "n": (1, 2)}, set(ACTORS), "first word"),
    ("person{n:02d}_{c}_d{d}.avi", {"n": (1, 25), "d": (1, 4)}, {"person01", "person25"}, "word"),
    ("{a}{n:02d}_{c}.avi", {"a": ("adult", "child"), "n": (1, 2)},
     {"adult01", "adult02", "child01", "child02"}, "first word"),
    ("subject_{n:02d}_{c}.avi", {"n": (1, 2)}, {"subject_01", "subject_02"}, "first two words"),
    ("video_{a}_{c}.avi", {"a": ACTORS}, {f"video_{a}" for a in ACTORS}, "first two words"),
    ("p{n}.avi", {"n": (1, 2, 3)}, {"p1", "p2", "p3"}, "first word"),
    ("2024-05-0{d}_{a}_{c}.mp4", {"a": ACTORS, "d": (1, 2)}, set(ACTORS), "behind the dates"),
    # one film in several categories, the category within the name
    ("{i}{f}_{c}_u_{n}.avi", {"f": ("a", "b"), "n": (0, 1)},
     {f"{i}{f}_u" for i in range(3) for f in "ab"}, "running numbers"),
    ("a{i:02d}_s{n:02d}_e{e:02d}_rgb.avi", {"n": (1, 2), "e": (1, 2)}, {"s01", "s02"}, "word"),
    # what a recording is called, before its parts are numbered
    ("{c}{i}match{m}_clip{n:03d}.avi", {"m": (1, 2), "n": (7, 12)},
     {"walk0match1", "walk0match2", "run1match1", "run1match2", "jump2match1", "jump2match2"},
     "without their running numbers"),
    ("m{i}{a} ({n}).avi", {"a": "xy", "n": (1, 2)},
     {"m0x", "m0y", "m1x", "m1y", "m2x", "m2y"}, "running numbers"),
    ("video-{v}_{n:04d}.mp4", {"v": (1, 2), "n": (1, 2)}, {"video-1", "video-2"}, "running"),
    ("clip{v:02d}_part{n}.mp4", {"v": (1, 2), "n": (1, 2)}, {"clip01", "clip02"}, "running"),
    # the day that a camera writes into the name; where all is of one day, the second
    ("IMG_2024-05-{d:02d}_{n:04d}.mov", {"d": (3, 4), "n": (7, 8)},
     {"IMG_2024-05-03", "IMG_2024-05-04"}, "running numbers"),
    ("VID_202405{d:02d}_1422{n}.mp4", {"d": (3, 4), "n": (10, 11)},
     {"VID_20240503", "VID_20240504"}, "running numbers"),
    ("2024050{d}_1422{n}.mp4", {"d": (3, 4), "n": (10, 11)}, {"20240503", "20240504"}, "word"),
    ("2024-05-03 14.{i}2.1{r}-part{n}.mp4", {"r": (0, 1), "n": (1, 2)},
     {f"2024-05-03 14.{i}2.1{r}" for i in range(3) for r in (0, 1)}, "running numbers"),
    # folders inside the categories
    ("{d}/{n:04d}.mp4", {"d": ("monday", "friday"), "n": (1, 2)}, {"monday", "friday"}, "folders"),
    ("{a}/{c}.mp4", {"a": ACTORS}, set(ACTORS), "folders"),
    ("cam{k}/{a}_{n}.mp4", {"k": (1, 2), "a": ACTORS, "n": (1, 2)}, set(ACTORS), "first word"),
    # names of published data sets
    ("v_{c}_g{g:02d}_c{n:02d}.avi", {"g": (1, 2), "n": (1, 2)},
     {f"{c}_g0{g}" for c in CATEGORIES for g in (1, 2)}, "as Kinetics or UCF101 give them"),
    ("a_-{c:a<8}_00000{n}_00001{n}.mp4", {"n": (1, 2)},
     {f"a_-{c:a<8}" for c in CATEGORIES}, "as Kinetics or UCF101 give them"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "values", "expected", "where"), FOUND)
def test_groups_that_names_tell(pattern, values, expected, where):
    found, (said,) = groups.find(videos(pattern, **values))
    assert set(found) == expected
    first = ", ".join(sorted(expected)[:3])
    assert said.startswith(f"Groups: {len(expected)} from ") and f"({first}" in said
    assert where in said
    assert ("--group REGEX" in said) == ("Kinetics" not in where)


UNKNOWN = [
    ("{c}_{n:03d}.avi", {"n": range(20)}),
    ("{c}{n}.avi", {"n": range(20)}),
    ("{c}ing_{n:03d}.avi", {"n": range(20)}),
    ("clip_{n:04d}.avi", {"n": range(20)}),
    ("{n:04d}.avi", {"n": range(20)}),
    ("{n:04d}_{c}.avi", {"n": range(20)}),
    ("clip{n:02d}_{c}.avi", {"n": range(20)}),
    ("trial_{n:02d}_rgb.avi", {"n": range(20)}),
    ("IMG_{i}{n:03d}.MOV", {"n": range(20)}),
    ("{k}_{i}{n:03d}.MOV", {"k": ("IMG", "DSC"), "n": range(20)}),
    ("{k}{i}{n:03d}.MOV", {"k": ("MAH", "C"), "n": range(20)}),
    ("IMG_2024-05-03_{i}{n:03d}.mp4", {"n": range(20)}),  # all of one day
    ("2024-05-03 14.{i}2.{n}.mp4", {"n": range(10, 30)}),
    # views are of one moment, and as groups would put it on both sides
    ("{k}_{n:03d}.avi", {"k": ("front", "side"), "n": range(9)}),
    ("cam{k}_{n:03d}.avi", {"k": (1, 2), "n": range(9)}),
    ("cam{k}/{n:03d}.avi", {"k": (1, 2), "n": range(9)}),
    ("v{n:03d}/video.mp4", {"n": range(9)}),  # a folder around each video
    ("same/{c}_{n}.mp4", {"n": range(9)}),
    # its cameras see one person: taken as recordings, they would part that person
    ("S001C00{k}P00{p}R001A00{i}_rgb.avi", {"k": (1, 2, 3), "p": (1, 2)}),
]


@pytest.mark.parametrize(("pattern", "values"), UNKNOWN)
def test_what_names_do_not_tell_is_unknown(pattern, values):
    assert groups.find(videos(pattern, **values)) == (
        [""] * len(videos(pattern, **values)),
        [],
    )


def test_a_few_odd_names_make_no_groups():
    listed = videos("{c}_{n:03d}.avi", n=range(9))
    odd = [Video("other", "", "walk"), Video("run_003 (2)", "", "jump"), Video("run_1", "", "walk")]
    assert groups.find([*listed, *odd]) == ([""] * 30, [])


def test_the_first_of_a_series_and_other_spellings_are_in_it():
    stems = ("final", "final (2)", "final-part3", "Match", "match_2", "single")
    listed = [Video(stem, "", "walk") for stem in stems]
    assert groups.find(listed)[0] == ["final", "final", "final", "Match", "Match", ""]


def test_an_actor_of_one_category_stays_one_and_who_is_nowhere_else_is_unknown():
    listed = videos("{a}_{c}{n}.avi", a=ACTORS, n=(1, 2))
    swim = [Video("daria_1", "", "swim"), Video("daria_2", "", "swim")]
    hoop = [Video("zed_1", "", "hoop"), Video("zed_2", "", "hoop")]
    assert groups.find([*listed, *swim, *hoop])[0][-4:] == ["daria", "daria", "", ""]


def test_groups_on_both_sides_of_a_given_split_are_said_and_not_taken():
    listed = videos("{a}_{c}{n}.avi", a=ACTORS, n=(1, 2))
    apart = [v._replace(split="val" if "eli" in v.stem else "train") for v in listed]
    assert set(groups.find(apart)[0]) == set(ACTORS)
    mixed = [v._replace(split="val" if v.stem.endswith("1") else "train") for v in listed]
    found, (said,) = groups.find(mixed)
    assert set(found) == {""}
    assert said == (
        "Warning: by the first word of the names 3 groups would lie on both sides of the split "
        "that is given, first daria, denis, eli. They are not taken as groups."
    )


def test_a_pattern_comes_first():
    found, (said,) = groups.find(videos("v_{c}_g0{n}_c01.avi", n=(1, 2)), r"_(g\d+)_")
    assert set(found) == {"g01", "g02"}
    assert said == (
        r"Groups: 2 from the pattern '_(g\\d+)_' (g01, g02): their videos stay on one side of the "
        "split."
    )
    for pattern, message in [
        ("(IMG", "no regular expression"),
        ("g", "must be in"),
        ("(x)", "no group in"),
    ]:
        with pytest.raises(CatalogError, match=message):
            groups.find(videos("{c}"), pattern)


@pytest.mark.parametrize("name", ["", " ", "\udcff_\udcff", "_", "2024-05-03", "(2)", "é" * 200])
def test_odd_names_end_in_an_answer(name):
    listed = [Video(name, name, c) for c in (*CATEGORIES, "!!", "ü ü")]
    assert groups.find(listed * 2)[0] is not None
    assert groups.find([]) == ([], [])


@pytest.mark.real
def test_the_actors_of_weizmann_are_found(real_data):
    catalog = Catalog.from_folder(real_data / "weizmann9" / "clips_80x64")
    actors = ["daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar"]
    assert sorted(set(catalog.frame["group"])) == actors
    assert unknown_groups(catalog.frame) == 0
    assert (
        "Groups: 9 from the first word of the names (daria, denis, eli ...): their videos stay on "
        "one side of the split. --group REGEX, or group in the parameters, sets others."
    ) in catalog.notes
    sides = catalog.frame.groupby("category")["split"].agg(set)
    assert len(sides) == 9 and all(found == {"train", "val"} for found in sides)
    assert catalog.frame.groupby("group")["split"].nunique().max() == 1


@pytest.mark.real
def test_the_groups_of_ucf101_are_as_they_were(real_data):
    catalog = Catalog.from_folder(real_data / "ucf101_mini" / "videos")
    stems = catalog.frame["video_id"]
    assert (catalog.frame["group"] == stems.str.extract(r"v_(.+_g\d+)_c\d+")[0]).all()
    assert catalog.frame["group"].nunique() == 48


def test_a_film_in_two_categories_is_one_group():
    listed = [
        Video(f"{film}_{c}_u_{n}", "", c)
        for film in ("Juno", "Alien", "Heat", "Up")
        for c, several in (("hug", (0, 1)), ("eat", (0, 1)))
        for n in several
    ]
    found, _ = groups.find(listed)
    assert len(set(found)) == 4 and "" not in found


def test_one_person_in_one_category_does_not_undo_the_others():
    listed = [
        Video(f"{a}_{n}", "", "walk") for a in ("anna", "ben", "carl", "dora") for n in (1, 2)
    ]
    listed += [Video(f"anna_{n}", "", "dance") for n in range(3)]
    found, _ = groups.find(listed)
    assert set(found) == {"anna", "ben", "carl", "dora"}
