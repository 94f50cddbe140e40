"""A folder of numbered images is asked about as a video file is."""

import cv2
import numpy as np
import pandas as pd
import pytest
from test_live_camera import predictor

from harlib import HarlibError
from harlib.data import probe
from harlib.inference import asking

pytestmark = pytest.mark.quick


@pytest.fixture
def folder(tmp_path):
    """Six seconds at 10 frames per second: dark, then bright; a cover beside the frames."""
    (tmp_path / "clips" / "a").mkdir(parents=True)
    for number in range(1, 61):
        picture = np.full((32, 48, 3), 20 if number <= 30 else 235, np.uint8)
        cv2.imwrite(str(tmp_path / "clips" / "a" / f"img_{number:05d}.jpg"), picture)
    cv2.imwrite(str(tmp_path / "clips" / "a" / "cover.png"), picture)
    return tmp_path / "clips" / "a"


def asked(paths, **options):
    lines = []
    one = predictor(fps=10.0, frames=5)
    assert asking.predict(one, paths, every=0.5, say=lines.append, **options)
    return lines


def test_every_way_to_name_it(folder, tmp_path):
    (tmp_path / "list.csv").write_text("path,fps\nclips/a,10\n")
    stated = f"{folder}?fps=10"
    for argument, fps in ((folder, 10), (folder.parent, 10), (tmp_path / "list.csv", None),
                          (stated, None)):  # fmt: skip
        assert asking.listed([str(argument)], fps)[0] == [stated], argument
    paths, notes = asking.listed([str(folder)])
    assert paths == [str(folder)] and "so 25 are taken" in notes[0] and "cover.png" in notes[1]
    stills = sorted(map(str, folder.glob("*.jpg")))
    assert asking.listed(stills) == (stills, [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(HarlibError, match="holds no videos"):
        asking.listed([str(tmp_path / "empty")])


def test_what_is_said_of_it_and_written(folder, tmp_path):
    out, report, overlay = tmp_path / "a.csv", tmp_path / "pages", tmp_path / "a.mp4"
    lines = asked([f"{folder}?fps=10"], out=out, report=report, overlay=overlay)
    assert "several, one after the other: " in lines[0]
    windows = pd.read_csv(out).query("level == 'window' and rank == 1")
    assert len(windows) == 12 and windows["end_s"].max() == 6
    assert windows["label"].tolist() == ["dark"] * 6 + ["bright"] * 6
    assert probe(overlay).fps == 10 and probe(overlay).frames == 60
    assert "dark" in (report / "index.html").read_text()
    (copy,) = report.glob("*.mp4")
    assert probe(copy).duration_s == 6


def test_a_damaged_one_is_said(folder):
    (folder / "img_00004.jpg").write_bytes(b"")
    (folder / "img_00007.jpg").unlink()
    lines = asked([f"{folder}?fps=10"])
    assert any("Warning: 1 number missing between the frames; 1 of 59 frames unreadable, first "
               "img_00004.jpg: the file is empty (0 bytes)" in line for line in lines)  # fmt: skip
