"""Runs side by side, on the videos that all of them have."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hand_made import many, six

from harlib import HarlibError
from harlib.evaluation import comparison, metrics
from harlib.study.params.base import ParamsError
from harlib.study.steps.comparing import compare
from harlib.text import percent

pytestmark = pytest.mark.quick


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_run(project, name, scores, **params):
    folder = project / "runs" / name
    folder.mkdir(parents=True)
    values = {"study": folder.parent.name, "run": folder.name, "epochs": 8} | params
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    scores.save(folder)
    return folder


def some(scores, rows):
    """The scores of these videos alone."""
    names = ("video_id", "label", "video_scores", "view_scores", "group")
    return replace(scores, **{name: getattr(scores, name)[rows] for name in names})


def without(scores, rows, lost):
    """The scores of the videos `rows`; the videos `lost` were listed and could not be read."""
    names = {"missing_id": "video_id", "missing_label": "label", "missing_group": "group"}
    missing = {name: getattr(scores, own)[lost] for name, own in names.items()}
    return replace(some(scores, rows), **missing)


def lines(text, title):
    return text.split(f"{title}\n")[1].split("\n\n")[0].splitlines()


def test_two_runs_of_two_studies(project):
    a, b = many(seed=0), many(seed=1, skill=3.0)
    folder = write_run(project, "mine/03_c3d", a, recipe_options={"lr": 0.1, "ema": 0}, width=0.5)
    write_run(project, "yours/03_c3d", b, recipe_options={"lr": 0.2, "ema": 0}, epochs=12)
    network = {"name": "c3d_bn", "parameters": 1, "gmacs": 1.0, "width": 0.5}
    protocol = {"split": "val", "clips": 4, "crops": 1, "frames": 16, "stride": 1, "size": 48}
    metrics.write(folder, a, protocol, network, 1.0)
    text = compare(["mine/03_c3d", "yours/03_c3d"])
    assert text.splitlines()[:3] == [
        "A  mine/03_c3d (c3d_bn, width 0.5, 16 × 48 × 48)",
        "B  yours/03_c3d",
        "On 120 videos that all of them have scored.",
    ]
    assert lines(text, "Settings that differ") == [
        "  epochs: A 8; B 12",
        "  recipe_options.lr: A 0.1; B 0.2",
        "  width: A 0.5; B 0.25",
    ]
    found = comparison.compare(a, b)
    said = " ".join(lines(text, "Is the difference real?"))
    assert f"A − B: {100 * found['difference']:+.1f} points (95 % interval" in said
    assert (
        f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}), p = {found['p']:.2g} " in said
    )
    assert f"only A {found['only_a']}, only B {found['only_b']}, neither" in said
    assert "The videos are of 40 groups: trust the interval" in said
    for letter, scores in (("A", a), ("B", b)):
        video = metrics.summary(scores)["video"]
        low, high = (100 * bound for bound in video["top1_interval"])
        assert f"\n  {letter}  {percent(video['top1'])} ({low:.1f} to {high:.1f})\n" in text
    table = comparison.category_difference(a, b)
    best = table.loc[table["difference"].abs().idxmax()]
    said = " ".join(" ".join(lines(text, "Categories where they differ most")).split())
    assert said.startswith("A is better in ") and "; B is better in 10 categories" in said
    assert "None of that is more than chance, with 12 categories looked at (Bonferroni)." in said
    low, high = 100 * best["low"], 100 * best["high"]
    assert (f"{best['category']} (n = {best['support']}): A {percent(best['a'])}, "
            f"B {percent(best['b'])}, A − B {low:+.0f} to {high:+.0f}") in said  # fmt: skip
    assert said.count("(n = 10)") == 5


def test_the_videos_where_runs_differ(project):
    a = six()
    swapped = a.video_scores.copy()
    swapped[[0, 5]] = [[0.1, 0.8, 0.1], [0.1, 0.7, 0.2]]  # a, and f that is wrong in both
    write_run(project, "mine/03_c3d", a)
    write_run(project, "mine/03_c3d.again", replace(a, video_scores=swapped), threads=7)
    text = compare(["03_c3d", "03_c3d.again"])
    assert lines(text, "Videos where they differ") == [
        "  2 of 6 videos.",
        "  bow, a: A bow; B clap",
        "  wave, f: A bow; B clap",
    ]
    assert lines(text, "Settings that differ") == ["  none"]


def test_at_most_twenty_videos_those_first_that_one_has_right(project):
    a, b = many(seed=0, skill=0.0), many(seed=1, skill=0.0)
    write_run(project, "mine/03_c3d", a)
    write_run(project, "mine/04_resnext101", b)
    told, *shown = lines(compare(["03_c3d", "04_resnext101"]), "Videos where they differ")
    assert told.endswith(" of 120 videos, the first 20:")
    firsts = [line for line in shown if line.startswith("  category")]
    assert len(firsts) == 20 and max(map(len, shown)) <= 100
    true = firsts[0].strip().split(",")[0]
    assert f"A {true}" in firsts[0] + shown[1] or f"B {true}" in firsts[0] + shown[1]


def test_only_the_videos_that_all_have_are_compared(project):
    whole = many()
    first, second = np.arange(100), np.arange(20, 120)[::-1]  # in another order too
    lost = without(whole, second[5:], second[:5])
    write_run(project, "mine/03_c3d", some(whole, first))
    write_run(project, "mine/04_resnext101", lost)
    text = compare(["03_c3d", "04_resnext101"])
    assert (
        "On 80 videos that all of them have; left out, as not all have them: 20 of A, 20 of B."
        in (text.replace("\n    ", " "))
    )
    assert "  A − B: +0.0 points" in text and "same accuracy in every category" in text
    write_run(project, "mine/02_frame_cnn", without(whole, np.arange(20), np.arange(20, 25)))
    text = compare(["02_frame_cnn", "03_c3d"])
    assert "On 25 videos" in text and "left out, as not all have them: 75 of B." in text
    assert "A (could not be read); B category" in text.replace("\n     ", "")


def test_three_runs_are_compared_two_by_two(project):
    names = ["03_c3d.a", "03_c3d.b", "03_c3d.c"]
    for number, name in enumerate(names):
        write_run(project, f"mine/{name}", many(seed=number), epochs=min(number, 1) + 1)
    text = compare(names)
    said = "\n".join(lines(text, "Is the difference real?"))
    assert all(f"  {pair}: " in said for pair in ("A − B", "A − C", "B − C"))
    assert "3 tests" in said
    assert lines(text, "Settings that differ") == ["  epochs: A 1; B, C 2"]


def test_a_file_name_in_two_categories_is_two_videos(project):
    a = six(video_id=list("abcade"))
    write_run(project, "mine/03_c3d", a)
    write_run(project, "mine/04_resnext101", some(a, np.array([3, 0, 5])))
    text = compare(["03_c3d", "04_resnext101"])
    assert "On 3 videos that all of them have; left out, as not all have them: 3 of A." in text
    assert "both 1, only A 0, only B 0, neither 2" in text


def test_a_run_that_lies_elsewhere_and_one_with_a_corrupt_state(project, tmp_path_factory):
    folder = write_run(project, "mine/03_c3d", many(seed=0))
    (folder / "run.json").write_text("{")
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("usb") / "03_c3d")
    many(seed=1).save(copy)
    assert f"B  {copy}\n" in compare(["mine/03_c3d", str(copy)])


def refused(names):
    with pytest.raises((HarlibError, FileNotFoundError)) as caught:
        compare(names)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_cannot_be_compared_is_said_in_one_line(project):
    whole = many()
    write_run(project, "mine/03_c3d", some(whole, np.arange(60)))
    write_run(project, "mine/04_resnext101", some(whole, np.arange(60, 120)))
    write_run(project, "mine/02_frame_cnn", six())
    assert "have scored no video in common" in refused(["03_c3d", "04_resnext101"])
    said = refused(["03_c3d", "02_frame_cnn"])
    assert "mine/03_c3d and mine/02_frame_cnn have 12 and 3 categories that are not" in said
    assert "takes two runs or more" in refused(["03_c3d"])
    assert "each once" in refused(["03_c3d", "runs/mine/03_c3d"])
    assert "nearest valid name" in refused(["03_c3d", "04_resnet101"])
    write_run(project, "mine/09_pretrained", without(whole, np.arange(60, 90), np.arange(9)))
    said = refused(["03_c3d", "09_pretrained"])
    assert said == "mine/09_pretrained could read none of the 9 common videos"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive at all"])
@pytest.mark.parametrize("name", ["scores.npz", "views.npz"])
def test_scores_that_cannot_be_read(project, name, content):
    write_run(project, "mine/04_resnext101", six())
    folder = write_run(project, "mine/03_c3d", six())
    (folder / name).write_bytes(content)
    assert "03_c3d cannot be read" in refused(["03_c3d", "04_resnext101"])
    (folder / name).unlink()
    assert f"holds no {name}; score the run first" in refused(["03_c3d", "04_resnext101"])


def test_parameters_that_cannot_be_read(project):
    write_run(project, "mine/04_resnext101", six())
    folder = write_run(project, "mine/03_c3d", six())
    (folder / "params.yaml").write_text("epochs: [")
    assert "params.yaml: not YAML" in refused(["03_c3d", "04_resnext101"])
    (folder / "params.yaml").write_text("epochs: 3")
    (folder / "metrics.json").write_text(json.dumps({"video": {}}))
    assert "metrics.json lacks model" in refused(["03_c3d", "04_resnext101"])


def test_hostile_names_do_not_reach_the_terminal(project):
    odd = six(categories=["\x1b[31mred", "a\nb", "wave"], video_id=["\x07", *"bcdef"])
    for name, change in (("03_c3d", "\x1b[2J"), ("04_resnext101", "x" * 500)):
        write_run(project, f"mine/{name}", odd, weights=change)
    scores = odd.video_scores[:, [1, 0, 2]]
    replace(odd, video_scores=scores).save(project / "runs" / "mine" / "03_c3d")
    text = compare(["03_c3d", "04_resnext101"])
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[31mred" in text


def test_more_runs_than_there_are_letters(project):
    names = [f"mine/03_c3d.{number}" for number in range(27)]
    for name in names:
        write_run(project, name, six())
    with pytest.raises(ParamsError, match="takes 26 runs at most; received 27"):
        compare(names)
