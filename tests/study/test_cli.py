"""The command line: thin, quick to start, and clear about mistakes."""

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harlib import HarlibError
from harlib.cli import main
from harlib.progress import StoppedAt

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parents[2]


def har(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_help_names_the_commands_and_imports_no_framework():
    code = (
        "import sys\n"
        "from harlib.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "har new-study mine --videos my-videos" in said and "make setup" in said
    for command in ("study", "demo-data", "catalog", "prepare", "verify", "models", "train",
                    "evaluate"):  # fmt: skip
        assert f"  {command} " in said
    assert said.splitlines()[-1] == "[]"


def test_help_is_by_what_a_person_wants_to_do():
    """Every command once, one line each, and at the end what the exit codes mean."""
    said = har("--help").output
    assert "More:" not in said, "a command is in no section of cli._SECTIONS"
    listed = re.findall(r"^  ([a-z][a-z-]+)  +[A-Z].*\.$", said, re.MULTILINE)
    assert sorted(listed) == sorted(main.commands)
    assert said.index("Your own videos:") < said.index("Measure this machine:")
    assert max(map(len, said.splitlines())) <= 80
    assert re.findall(r"^ +(\d+)  ", said, re.MULTILINE) == ["0", "1", "2", "130", "143"]


def test_a_command_of_no_section_is_listed_too():
    main.add_command(click.Command("odd", help="Does something."))
    try:
        assert "More:\n  odd        Does something." in har("--help").output
    finally:
        main.commands.pop("odd")


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (None, 0),
        (HarlibError("no such run"), 1),
        (OSError(errno.ENOSPC, "full"), 1),
        (ZeroDivisionError(), 1),  # a fault of the program, with its traceback
        (click.UsageError("no such option"), 2),
        (click.BadParameter("no number"), 2),
        (KeyboardInterrupt(), 130),
        (StoppedAt("training: stopped"), 130),
        (SystemExit(143), 143),  # as a training ends that was sent SIGTERM
    ],
    ids=repr,
)
def test_exit_codes(raised, code):
    def odd():
        if raised:
            raise raised

    main.add_command(click.Command("odd", callback=odd))
    try:
        assert har("odd").exit_code == code
    finally:
        main.commands.pop("odd")
    documented = (ROOT / "docs" / "command-line.md").read_text()
    assert re.search(rf"^\| {code} \|", documented, re.MULTILINE)


def test_prepare_and_verify(write_videos, tmp_path):
    write_videos(2, ["a", "b"]).to_csv(tmp_path / "videos.csv")
    store = tmp_path / "store"
    done = har("prepare", tmp_path / "videos.csv", store, "--codec", "raw", "--size", 32)
    assert done.exit_code == 0, done.output
    assert "every stored byte" in har("verify", store).output
    around = har("verify", tmp_path)
    assert around.exit_code == 1
    assert around.output.endswith(f"store.json is missing; it holds one: {store}\n")
    file = next(store.rglob("*.h5"))
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    file.write_bytes(damaged)
    assert har("verify", store).exit_code == 1


def test_catalog_of_a_folder(write_videos, tmp_path):
    for row in write_videos(4, ["a", "b"]).frame.itertuples():
        target = tmp_path / "own" / row.split / row.category / f"{row.video_id}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(row.path, target)
    done = har("catalog", "--folder", tmp_path / "own", tmp_path / "videos.csv")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "videos.csv").read_text().startswith("video_id,path,category")
    assert "train 6, val 2" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "demmo"], "nearest valid name: 'demo'"),
        (["study", "demo", "--set", "seed"], "KEY=VALUE"),
        (["study", "demo", "--set", "seeed=3"], "'seed'"),
        (["catalog", "out.csv"], "give one of --folder, --table, --kinetics"),
        (
            ["catalog", "--folder", ".", "--split", "2", "out.csv"],
            "--split is of no use with --folder: it goes with --ucf101 and --hmdb51",
        ),
        (
            ["catalog", "--ucf101", ".", "--videos", ".", "--val", "0.3", "out.csv"],
            "--val is of no use with --ucf101: it goes with --folder and --table",
        ),
        (
            ["catalog", "--stanford40", ".", "--frame-fps", "9", "out.csv"],
            "--frame-fps is of no use with --stanford40: it goes with --folder, --table, "
            "--kinetics, --ucf101 and --hmdb51",
        ),
        (
            ["catalog", "--folder", ".", "--background", "1", "out.csv"],
            "--background is of no use with --folder: it goes with --table",
        ),
        (["models", "resnet"], "'resnet' is unknown"),
    ],
)
def test_a_mistake_is_one_line(arguments, words):
    done = har(*arguments)
    assert done.exit_code != 0
    assert words in " ".join(done.output.split())
    assert "Traceback" not in done.output
