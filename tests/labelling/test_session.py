"""A sitting: the next video, its guess, the counts, and where it goes on."""

import csv
import os

import pytest
import sittings

from harlib import HarlibError
from harlib.data.catalog import table
from harlib.labelling.session import Session

pytestmark = pytest.mark.quick


@pytest.fixture
def videos(tmp_path):
    paths = [tmp_path / f"person{number}_take.mp4" for number in range(18)]
    for path in paths:
        path.write_bytes(b"nobody looks into it here")
    return list(map(str, paths))


def label_all(session, most=100):
    """Labels each video that is shown by its action, up to `most`; their numbers."""
    shown = []
    while (video := session.state()["video"]) and len(shown) < most:
        shown.append(video["number"])
        session.label(video["number"], sittings.action(video["number"]))
    return shown


def test_every_video_is_asked_for_once_and_the_first_ones_are_of_all_actions(tmp_path, videos):
    session = sittings.session(tmp_path, videos, size=3)
    shown = label_all(session)
    assert sorted(shown) == list(range(18))
    assert {sittings.action(number) for number in shown[:3]} == set(sittings.ACTIONS)
    state = session.state()
    assert (state["left"], state["new"], state["labelled"]) == (0, 18, 18)
    read = table.content(tmp_path / "labels.csv")[2]
    assert {row.path: row.label for row in read} == {
        video: sittings.action(number) for number, video in enumerate(videos)
    }


def test_guesses_come_from_the_labels_so_far(tmp_path, videos):
    session = sittings.session(tmp_path, videos, size=6)
    assert session.state()["video"]["guesses"] == []
    label_all(session, most=6)
    video = session.state()["video"]
    assert video["guesses"][0]["label"] == sittings.action(video["number"])
    chances = [one["probability"] for one in video["guesses"]]
    assert chances == sorted(chances, reverse=True) and 0.34 < chances[0] <= 1


def test_a_networks_own_guesses_are_shown_from_the_start(tmp_path, videos):
    session = sittings.session(tmp_path, videos, probabilities=True)
    state = session.state()
    first = state["video"]
    assert first["guesses"][0] == {
        "label": sittings.action(first["number"]),
        "probability": pytest.approx(0.8),
    }
    assert [(one["key"], one["label"]) for one in state["categories"]] == [
        ("1", "jump"),
        ("2", "sit down"),
        ("3", "walk"),
    ]


def test_it_goes_on_where_one_left_off(tmp_path, videos):
    first = sittings.session(tmp_path, videos, size=4)
    done = label_all(first, most=5)
    skipped = first.state()["video"]["number"]
    first.skip(skipped)
    second = sittings.session(tmp_path, videos, size=4)
    state = second.state()
    assert (state["left"], state["labelled"], state["new"]) == (12, 5, 0)
    shown = label_all(second)
    assert not {*done, skipped} & set(shown) and len(shown) == 12


def test_undo_shows_the_video_again(tmp_path, videos):
    session = sittings.session(tmp_path, videos, size=2)
    one = session.state()["video"]["number"]
    two = session.label(one, "jump")["video"]["number"]
    assert session.skip(two)["skipped"] == 1
    state = session.undo()
    assert (state["video"]["number"], state["skipped"]) == (two, 0)
    state = session.undo()
    assert (state["video"]["number"], state["new"], state["left"]) == (one, 0, 18)
    with pytest.raises(HarlibError, match="nothing to undo"):
        session.undo()
    with open(tmp_path / "labels.csv") as file:
        assert list(csv.reader(file)) == [["path", "label"]]


def test_a_new_category_gets_a_key_and_its_spellings_are_one(tmp_path, videos):
    session = sittings.session(tmp_path, videos)
    number = session.state()["video"]["number"]
    number = session.label(number, "  sit  down ")["video"]["number"]
    state = session.label(number, "Sit_down")
    assert [(one["label"], one["count"]) for one in state["categories"]] == [("sit down", 2)]
    assert state["categories"][0]["key"] == "1"
    with pytest.raises(HarlibError, match="is no label"):
        session.label(state["video"]["number"], " ")


def test_spellings_in_a_table_are_one_category(tmp_path, videos):
    rows = zip(videos[:5], ["walking", "Walking", "jump", "JUMP", "walking "], strict=True)
    (tmp_path / "labels.csv").write_text(
        "path,label\n" + "".join(f"{video},{label}\n" for video, label in rows)
    )
    session = sittings.session(tmp_path, videos)
    state = session.state()
    assert [(one["label"], one["count"]) for one in state["categories"]] == [
        ("Walking", 3),
        ("JUMP", 2),
    ]
    assert {one["label"] for one in state["video"]["guesses"]} <= {"Walking", "JUMP"}
    number = state["video"]["number"]
    session.label(number, "JUMP")
    assert session.labels.label(videos[number]) == "JUMP"
    known = Session(sittings.seen(videos), session.labels, ["walking", "Jump"])
    counts = {one["label"]: one["count"] for one in known.state()["categories"]}
    assert counts == {"walking": 3, "Jump": 3}


def test_a_row_of_somebody_else_is_taken_up(tmp_path, videos):
    session = sittings.session(tmp_path, videos, size=4)
    label_all(session, most=3)
    number = session.state()["video"]["number"]
    other = next(v for n, v in enumerate(videos) if n != number and not session.labels.label(v))
    with open(tmp_path / "labels.csv", "a") as file:
        file.write(f"{os.path.basename(other)},zebra\n")
    state = session.label(number, sittings.action(number))  # ends a round
    assert ("zebra", 1) in [(one["label"], one["count"]) for one in state["categories"]]
    assert state["video"] is not None and state["left"] == 13
    assert label_all(session) and session.state()["left"] == 0


def test_after_a_round_it_says_what_trains_again(tmp_path, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = sittings.session(tmp_path, videos, size=5)
    label_all(session, most=4)
    assert session.state()["train"] == []
    label_all(session, most=1)
    assert session.state()["train"] == [
        "har new-study labels-5 --videos labels.csv",
        "har study labels-5",
    ]


def test_the_command_is_one_for_the_systems_own_shell(tmp_path, videos, monkeypatch):
    session = sittings.session(tmp_path / "my videos", videos, size=1)
    monkeypatch.setattr(sittings.Labels, "shown", "my videos/labels.csv")
    session._new = 1
    assert session.state()["train"][0].endswith("--videos 'my videos/labels.csv'")
    monkeypatch.setattr("harlib.labelling.session._WINDOWS", True)
    assert session.state()["train"][0].endswith('--videos "my videos/labels.csv"')


def test_a_second_page_cannot_label_a_video_twice(tmp_path, videos):
    session = sittings.session(tmp_path, videos)
    number = session.state()["video"]["number"]
    session.label(number, "jump")
    with pytest.raises(HarlibError, match="labelled 'jump' already"):
        session.label(number, "walk")
    with pytest.raises(HarlibError, match="there is no video 18: they are 0 to 17"):
        session.label(18, "walk")


def test_a_video_that_is_gone_is_said_and_can_be_passed_over(tmp_path, videos):
    session = sittings.session(tmp_path, videos)
    number = session.state()["video"]["number"]
    os.remove(videos[number])
    with pytest.raises(HarlibError, match="is gone, so it gets no label"):
        session.label(number, "jump")
    state = session.skip(number)
    assert state["video"]["number"] != number and state["left"] == 17


def test_more_categories_than_keys_are_kept(tmp_path, videos):
    (tmp_path / "labels.csv").write_text(
        "path,label\n" + "".join(f"old{n}.mp4,action {n}\n" for n in range(40))
    )
    state = sittings.session(tmp_path, videos).state()
    keys = [one["key"] for one in state["categories"]]
    assert len(keys) == 40 and len(set(keys[:32])) == 32 and not any(keys[32:])
    assert not {"n", "s", "u"} & set(keys)
