"""What a person can mend is one line of `har`; what is a fault of the program shows where."""

import errno
import importlib
import inspect
import os
import pkgutil
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import harlib
from harlib import HarlibError, MissingFile, cli, system_errors

pytestmark = pytest.mark.quick


def har(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def command():
    """Adds a command `odd` that raises what is given, for a test."""

    def add(error):
        def odd():
            raise error if isinstance(error, BaseException) else error()

        cli.main.add_command(click.Command("odd", callback=odd))

    yield add
    cli.main.commands.pop("odd", None)


def test_every_error_of_harlib_can_be_caught_as_one():
    found = {}
    for module in pkgutil.walk_packages(harlib.__path__, "harlib."):
        if module.name.startswith("harlib.bench."):
            continue  # its worker is a script
        held = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        found |= {name: kind for name, kind in held if issubclass(kind, Exception)
                  and kind.__module__.startswith("harlib")}  # fmt: skip
    assert {"ParamsError", "ScoreError", "CheckpointError", "TrainingDiverged"} <= found.keys()
    others = {name for name, kind in found.items() if not issubclass(kind, HarlibError)}
    assert others == {"Unknown", "_Refused"}  # of forecast and packing, which catch them


def test_what_is_not_there_is_a_line_in_a_notebook_too():
    missing = MissingFile("no clip store at data/mine/store")
    assert missing._render_traceback_() == ["no clip store at data/mine/store"]
    with pytest.raises(FileNotFoundError):
        raise missing
    sources = Path(harlib.__file__).parent.rglob("*.py")
    plain = {file.name for file in sources if "raise FileNotFoundError(" in file.read_text()}
    assert plain == {"source_files.py"}  # whose message becomes a video's reason


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; make room, then run the same command again"),
        (errno.EROFS, "Read-only file system; name a place that can be written to"),
        (errno.EACCES, "Permission denied; give yourself the right to it"),
        (errno.ENAMETOOLONG, "File name too long; give a shorter name"),
        (errno.EIO, "the disk has a fault"),
        (errno.ELIBBAD, "har --debug shows where it happened"),
    ],
)
def test_what_the_system_refused_is_one_line(command, number, words):
    command(OSError(number, "x", "some/place"))
    done = har("odd")
    assert done.exit_code == 1
    assert done.output.startswith("Error: some/place: ") and words in done.output
    assert len(done.output.splitlines()) == 1


def test_without_a_path_the_command_s_own_is_named(tmp_path):
    full = OSError(errno.ENOSPC, "x")
    assert system_errors.line(full, [tmp_path]).startswith(f"{tmp_path}: No space left")
    assert system_errors.line(OSError("no store here")) == "no store here"


def test_a_fault_of_the_program_is_no_friendly_line(command):
    command(lambda: int("x"))
    assert isinstance(har("odd").exception, ValueError)
    command(HarlibError("mend this"))
    assert har("odd").output == "Error: mend this\n"
    assert isinstance(har("--debug", "odd").exception, HarlibError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo-data", "{file}/x"], "Not a directory; name a folder"),
        (["demo-data", "/proc/x"], "/proc/x: No such file or directory; check the name"),
        (["demo-data", "{folder}/" + "x" * 300], "File name too long; give a shorter name"),
        (["catalog", "--folder", "{folder}", "{folder}/out.csv"], "holds no videos"),
        (["prepare", "{folder}/file", "{file}/x"], "file"),
        (["verify", "{folder}/nothing"], "no clip store"),
        (["train", "{folder}"], "which is a directory"),
        (["report", "{file}"], "no run "),
    ],
)
def test_commands_on_places_that_cannot_be_are_one_line(arguments, words, tmp_path):
    (tmp_path / "file").write_text("x")
    filled = [a.format(folder=tmp_path, file=tmp_path / "file") for a in arguments]
    done = har(*filled)
    assert done.exit_code in (1, 2), done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert words in done.output
    assert len(done.output.splitlines()) == 1 or done.exit_code == 2, done.output


@pytest.mark.skipif(os.geteuid() == 0 or sys.platform == "win32", reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_named(tmp_path):
    tmp_path.chmod(0o500)
    assert "Permission denied; give yourself the right" in har("demo-data", tmp_path / "x").output
