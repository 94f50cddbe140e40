"""What is meant to be sent does not say where on this machine things lie."""

import getpass
from pathlib import Path

import pytest

from harlib.study.report import private

pytestmark = pytest.mark.quick


@pytest.fixture
def run_dir(tmp_path):
    made = tmp_path / "me & you" / "project" / "runs" / "mine" / "03_c3d"
    made.mkdir(parents=True)
    (made / "params.yaml").write_text(
        "data_root: /disk/secret/clips\nstore: /disk/secret/clips/store\nweights: ''\n"
        "variants: {far: {weights: /other/private/net.pth}}\nvideos: /\n"
    )
    return made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("store /disk/secret/clips/store/index.csv", "store …/store/index.csv"),
        ("'/disk/secret/clips'", "'…/clips'"),
        ("/disk/secret/clips-old", "/disk/secret/clips-old"),
        ("/other/private/net.pth.", "…/net.pth."),
        ("{root}/runs/mine", "runs/mine"),
        ("in {root}: nothing", "in project: nothing"),
        ("{escaped}/data", "data"),
        ("{home}/notes", "~/notes"),
        ("base64,iVBO/disk/secret/clips", "base64,iVBO/disk/secret/clips"),
        ("1 / 2 and a/b", "1 / 2 and a/b"),
    ],
)
def test_places_become_names(text, shown, run_dir):
    root = run_dir.parents[2]
    text = text.format(root=root, escaped=str(root).replace("&", "&amp;"), home=Path.home())
    assert private.hide(text, root, [run_dir]) == shown


def test_a_place_of_the_accounts_name_is_not_named(run_dir, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "mira")
    (run_dir / "params.yaml").write_text("data_root: /data/mira\n")
    root = run_dir.parents[2]
    text = private.hide("in /data/mira/videos/a.mp4", root, [run_dir])
    assert text == "in …/videos/a.mp4" and private.finder(root, [run_dir])(text) == ""


def test_what_hide_leaves_tells_nothing(run_dir):
    root = run_dir.parents[2]
    (run_dir / "params.yaml").write_text("data_root: /srv\nstore: /home\n")
    text = private.hide("/srv/videos/a.mp4, /home/x and ~/y", root, [run_dir])
    assert text == "…/srv/videos/a.mp4, …/home/x and ~/y"
    assert private.finder(root, [run_dir])(text) == ""
    assert private.hide(text, root, [run_dir]) == text
