"""What beginners get wrong: each mistake is one line that says what came and what would be right.

Mistakes of a single module are in its own tests; here they come as a person types them.
"""

import os
import shlex

import pytest
from click.testing import CliRunner

from harlib.cli import main
from harlib.data import encode

pytestmark = pytest.mark.quick

PEOPLE = ("anna", "ben", "cleo", "dan", "eve", "finn")
ROWS = [f"good/{c}/{p}.mp4,{c}" for c in ("run", "walk") for p in PEOPLE]


def _table(*rows, header="path,label"):
    return "\n".join([header, *rows])


def _each(pattern, categories=("run", "walk")):
    return [pattern.format(c=c, p=p) for c in categories for p in PEOPLE]


# What may lie in the project: paths of videos, or one file and its content.
LAID = {
    "good": _each("good/{c}/{p}.mp4"),
    "one": ["new.mp4"],
    "flat": ["flat/a.mp4", "flat/b.mp4"],
    "deep": _each("deep/mine/{c}/old/{p}.mp4"),
    "splits": _each("splits/{c}/{p}.mp4", ("train", "val")),
    "lone": ["lone/run/a.mp4", "lone/walk/b.mp4"],
    "spaces": _each("my videos/{c}/{p}.mp4"),
    "empty": {"empty/.gitkeep": ""},
    "papers": {"papers/run/a.txt": "a", "papers/walk/b.pdf": "b"},
    "zip": {"v.zip": "PK\3\4\0\0"},
    "excel": {"list.xlsx": "PK\3\4\0\0"},
    "no header": {"list.csv": "\n".join(ROWS)},
    "columns": {"list.csv": _table(*ROWS, header="filepath,action name")},
    "semicolons": {"list.csv": _table(*(r.replace(",", ";") for r in ROWS), header="datei;klasse")},
    "elsewhere": {"list.csv": _table(*(r.replace("good", "clips") for r in ROWS))},
    "windows": {"list.csv": _table(*(r.replace("/", "\\") for r in ROWS))},
    "old": {"params/old/03_c3d.yaml": "model: c3d\n"},
    "study": {
        "params/mine/common.yaml": "seed: 0\n",
        "params/mine/01_data_prep.yaml": "source: folder\n",
        "params/mine/03_c3d.yaml": "model: c3d\n",
    },
    "values": {"params/mine/03_c3d.yaml": "epochs: many\n"},
    "key": {"params/mine/03_c3d.yaml": "epoch: 3\n"},
    "equals": {"params/mine/03_c3d.yaml": "model: c3d\nepochs = 3\n"},
    "tab": {"params/mine/03_c3d.yaml": "size:\n\t- 64\n"},
    "root": {"params/mine/01_data_prep.yaml": "source: folder\ndata_root: nowhere\n"},
    "run": {
        "runs/mine/03_c3d/params.yaml": "study: mine\nrun: 03_c3d\nmodel: c3d\n",
        "runs/mine/03_c3d/run.json": '{"status": "started", "notebook": "03_c3d"}',
        "runs/mine/01_data_prep/params.yaml": "study: mine\nrun: 01_data_prep\n",
    },
}

# name: what is typed after `har`, what lies there, words of the line, exit code
MISTAKES = {
    "no such folder": ("new-study x --videos nowhere", "", "'nowhere' does not exist", 2),
    "a zip": ("new-study x --videos v.zip", "zip", "v.zip is a zip file, as Excel's are: un", 1),
    "one video": ("new-study x --videos new.mp4", "one", "is a video and no table: give the", 1),
    "no categories": ("new-study x --videos flat", "flat", "a folder named after its category", 1),
    "too deep": ("new-study x --videos deep", "deep", "none at category/NAME or split/category", 1),
    "only splits": ("new-study x --videos splits", "splits", "splits without categories: move", 1),
    "an empty folder": ("new-study x --videos empty", "empty", "looked for at empty/CATEGORY/", 1),
    "no videos in it": ("new-study x --videos papers", "papers", "files whose ending is of no", 1),
    "one video each": ("new-study x --videos lone", "lone", "one group only, first 'run' with", 1),
    "a name with a space": ("new-study my study --videos good", "good", "stands in quotes", 2),
    "a folder with a space": ("new-study x --videos my videos", "spaces", "'my' does not exist", 2),
    "no --videos": ("new-study x", "", "Missing option '--videos'", 2),
    "no name": ("new-study --videos good", "good", "Missing argument 'NAME'", 2),
    "an option misspelt": ("new-study x --vidoes good", "good", "Did you mean '--videos'?", 2),
    "a command misspelt": ("newstudy x", "", "Did you mean one of: 'new-study', 'study'?", 2),
    "too many folds": ("new-study x --videos good --folds 7", "good", "needs 7 groups or more", 1),
    "a group without (…)": ("new-study x --videos good --group anna", "good", "must be in (…)", 1),
    "no header": ("new-study x --videos list.csv", "good no_header", "its first line is good/", 1),
    "other columns": ("new-study x --videos list.csv", "good columns", "is filepath, action", 1),
    "Excel's semicolons": ("new-study x --videos list.csv", "semicolons", "is datei, klasse", 1),
    "Excel's own file": ("new-study x --videos list.xlsx", "excel", "save the table as CSV", 1),
    "files elsewhere": ("new-study x --videos list.csv", "elsewhere", "none of the 12 videos", 1),
    "backslashes": ("new-study x --videos list.csv", "windows", "a path is written with /", 1),
    "no data_root": ("study mine", "study", "'folder' needs data_root, the folder of your", 1),
    "data_root is gone": ("study mine", "root", "no folder 'nowhere' (relative paths start", 1),
    "a wrong value": ("study mine", "values", "key 'epochs': should be a valid integer", 1),
    "a key misspelt": ("study mine", "key", "unknown key 'epoch'; nearest valid name: 'epochs'", 1),
    "= for a colon": ("study mine", "equals", "no `key: value` in line 2, column 1", 1),
    "a tab": ("study mine", "tab", "a tab where YAML takes spaces alone in line 2", 1),
    "a file for a study": ("study params/old/03_c3d.yaml", "old", "har study old --only 03_c3d", 1),
    "videos for a study": ("study good", "good old", "har new-study NAME --videos good", 1),
    "not the project": ("study mine", "", "there is no folder params in", 1),
    "a run misspelt": ("study old --only 03_c3", "old", "no run 03_c3 in old; there are 03_c3d", 1),
    "--set with a space": ("study old --set epochs 3", "old", "'epochs' is no KEY=VALUE, as", 2),
    "no study": ("study", "", "Missing argument 'STUDY'", 2),
    "a study for a run": ("predict mine new.mp4", "run one", "mine is a study, its runs are", 1),
    "videos for a run": ("predict good new.mp4", "good one", "good is no run's folder, and no", 1),
    "the video first": ("predict new.mp4 mine/03_c3d", "run one", "mine/03_c3d: no such video", 1),
    "not trained yet": ("predict mine/03_c3d new.mp4", "run one", "not there: train it first", 1),
    "no video": ("predict mine/03_c3d", "run", "Missing argument 'VIDEOS...'", 2),
    "an empty folder of new videos": ("predict mine/03_c3d empty", "run empty", "no videos", 1),
    "a video with a space": ("predict mine/03_c3d my video.mp4", "run", "my: no such video,", 1),
    "backslashes of a video": (r"predict mine/03_c3d 'good\run\anna.mp4'", "run good",
                               r"good\run\anna.mp4: no such video", 1),
    "an unknown ending": ("predict mine/03_c3d new.mp4 --out o.xl", "run one", "end it in .csv", 1),
    "no ending": ("predict mine/03_c3d new.mp4 --out o", "run one", "o names no format: end", 1),
    "a folder for --out": ("predict mine/03_c3d new.mp4 --out good", "run one good",
                           "'good' is a directory", 2),
    "--report is there": ("predict mine/03_c3d new.mp4 --report good", "run one good",
                          "good is there already: name a new folder for the report", 1),
    "--every 0": ("predict mine/03_c3d new.mp4 --every 0", "run one", "'0' is no time above 0", 2),
    "--threshold 80": ("predict x new.mp4 --threshold 80", "one", "not in the range 0<=x<=1", 2),
    "weights without data": ("predict x3d_s new.mp4", "one", "you mean x3d_s/kinetics400?", 1),
    "weights misspelt for a run": ("features x3d_s/kinetcs400 good --out f.npz", "good",
                                   "no published weights 'x3d_s/kinetcs400' (did you mean", 1),
    "features before training": ("features mine/03_c3d good --out f.npz", "run good",
                                 "runs/mine/03_c3d/model.keras is not there: train", 1),
    "a run that trains nothing": ("predict mine/01_data_prep new.mp4", "run one",
                                  "not there: train it first (a run of notebook 02, 03,", 1),
    "evaluate before training": ("evaluate mine/03_c3d", "run", "was trained on is not at", 1),
    "export before training": ("export mine/03_c3d", "run", "model.keras is not there: train", 1),
    "not scored": ("compare mine/03_c3d mine/01_data_prep", "run", "holds no scores.npz; score", 1),
    "weights misspelt": ("weights fetch x3d_s/kinetcs400", "", "mean x3d_s/kinetics400?", 1),
    "weights by their network": ("weights fetch x3d_s", "", "(did you mean x3d_s/kinetics400?)", 1),
    "a report of no study": ("report mien", "run", "no run 'mien'; nearest valid name: 'mine'", 1),
    "a report too early": ("report mine", "run", "holds no run with a notebook: har study mine", 1),
    "a list of no study": ("list mien", "run", "no study 'mien'; nearest valid name: 'mine'", 1),
    "a table for a catalog": ("prepare list.csv store", "elsewhere", "har catalog --table", 1),
    "videos for a catalog": ("prepare good store", "good", "File 'good' is a directory", 2),
    "videos for a store": ("verify good", "good", "no clip store at good: store.json is", 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory, moving_square):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode(path, moving_square(frames=30), fps=25)
    return path.read_bytes()


def _laid(root, names, clip):
    """Lays out the named things; returns every path in the project."""
    for name in names.split():
        files = LAID[name.replace("_", " ")]
        for file in files:
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[file].encode() if isinstance(files, dict) else clip)
    return set(root.rglob("*"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_changes_nothing(name, clip, tmp_path, monkeypatch):
    typed, laid, words, code = MISTAKES[name]
    before = _laid(tmp_path, laid, clip)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, shlex.split(typed))
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    *usage, line = done.stderr.splitlines()
    assert line.startswith("Error: ") and words in line, done.stderr
    assert done.exit_code == code and not done.stdout
    if code == 2:  # click's own: how the command is used, and that there is help
        assert [words.split()[0] for words in usage if words] == ["Usage:", "Try"]
    else:
        assert not usage, done.stderr
    assert "Errno" not in line and f"{os.sep}harlib{os.sep}" not in line
    assert set(tmp_path.rglob("*")) == before


def test_there_are_as_many_as_beginners_make():
    assert len(MISTAKES) >= 30
