"""harlib as a wheel in an environment of its own, outside the checkout: `har init`, a study."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_study import FILES, write_study

from harlib import HarlibError, shipped
from harlib.cli import main


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The programs of a fresh environment with the wheel; dependencies are those of the tests."""
    root = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", root / "dist"]
    subprocess.run(build, cwd=shipped.FOLDER, check=True, capture_output=True)
    (wheel,) = (root / "dist").glob("*.whl")
    venv.create(root / "venv", with_pip=False)
    programs = root / "venv" / ("bin" if os.name == "posix" else "Scripts")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    asked = [programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    # names of folders in it are read, other .pth files there, as an editable install's, are not
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return programs


def run(*command, cwd):
    clean = {k: v for k, v in os.environ.items() if k not in ("HARLIB_ROOT", "PYTHONPATH")}
    # nbconvert's templates belong to the dependencies
    clean["JUPYTER_PATH"] = str(Path(sysconfig.get_path("data")) / "share" / "jupyter")
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)


def test_a_wheel_runs_a_study_in_a_folder_that_init_made(environment, tmp_path):
    code = "from harlib import shipped; print(shipped.IN_CHECKOUT, shipped.FOLDER)"
    asked = run(environment / "python", "-c", code, cwd=tmp_path)
    assert asked.stdout.startswith(f"False {environment.parent}"), asked.stdout + asked.stderr

    made = run(environment / "har", "init", "work", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    work = tmp_path / "work"
    assert sorted(path.name for path in (work / "params").iterdir()) == ["demo"]
    ours = {path.name for path in (shipped.FOLDER / "notebooks").glob("*.ipynb")}
    assert {path.name for path in (work / "notebooks").glob("*.ipynb")} == ours and len(ours) >= 10

    runs = ("common", "01_data_prep", "03_c3d", "05_evaluation")
    write_study(work, "tiny", {name: FILES[name] for name in runs})
    done = run(environment / "har", "study", "tiny", "--no-forecast", cwd=work)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "reports" / "tiny" / "index.html").is_file()
    assert (work / "runs" / "tiny" / "03_c3d" / "model.keras").is_file()


def test_a_study_that_comes_with_the_wheel_goes_to_the_folder_that_one_is_in(environment, tmp_path):
    code = (
        "from harlib.study.runs.study_files import chosen\n"
        "folder, runs = chosen('demo')\n"
        "print(folder, runs[0].params.run_dir)"
    )
    asked = run(environment / "python", "-c", code, cwd=tmp_path)
    folder, run_dir = asked.stdout.split()
    assert folder.startswith(str(environment.parent))
    assert Path(run_dir) == tmp_path / "runs" / "demo" / "01_data_prep"


@pytest.mark.quick
def test_init_again_changes_nothing_and_never_overwrites(tmp_path):
    first = shipped.lay_out(tmp_path, ("demo",))
    assert ".gitignore" in first and "params/demo/common.yaml" in first
    assert shipped.lay_out(tmp_path, ("demo",)) == []
    assert "params/performance/common.yaml" in shipped.lay_out(tmp_path, ("performance",))
    mine = tmp_path / "params" / "demo" / "common.yaml"
    mine.write_text("seed: 7\n")
    with pytest.raises(HarlibError, match="common.yaml is there and is another: name a new folder"):
        shipped.lay_out(tmp_path, ("demo", "ablations"))
    assert mine.read_text() == "seed: 7\n" and not (tmp_path / "params" / "ablations").exists()


@pytest.mark.quick
def test_init_of_a_study_that_does_not_come_with_harlib_names_those_that_do(tmp_path):
    done = CliRunner().invoke(main, ["init", str(tmp_path / "new"), "--study", "dmeo"])
    assert done.exit_code == 1 and not (tmp_path / "new").exists()
    assert "no study 'dmeo' comes with harlib; there are ablations, " in done.output
