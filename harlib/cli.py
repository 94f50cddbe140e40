"""`har`: every command calls one function of the library."""

import dataclasses
import dis
import faulthandler
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from harlib import HarlibError, system_errors
from harlib.bench.commands import bench
from harlib.pretrained.commands import weights
from harlib.progress import StoppedAt
from harlib.study.commands import COMMANDS

# Functions are imported inside their command, so that `har --help` needs no TensorFlow.
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells give to what Ctrl-C ended


# Commands that keep what is done when they are stopped.
_RESUMES = ("study", "train", "evaluate", "features", "prepare", "demo-data")

_OWN = """\b
Your own videos, my-videos/CATEGORY/*.mp4 (after `make setup`, or pip install):
  har new-study mine --videos my-videos
  har study mine
  har predict mine/03_c3d new.mp4
"""


class _Har(click.Group):
    """Says what a person can mend in one line, without a traceback; Ctrl-C too.

    That is a `HarlibError`, what the system refused, and what harlib itself raised about values or
    missing packages. Anything else is a fault of the program, and shows where.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.obj = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            where, again = "stopped", "begins anew"
            if ctx.invoked_subcommand in _RESUMES:
                again = "resumes"
            if isinstance(stop, StoppedAt):
                where, again = stop.where, "resumes there"
            click.echo(f"\n{where}: the same command {again}", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None
        except Exception as error:
            if ctx.params["debug"]:
                raise
            if isinstance(error, OSError):
                raise click.ClickException(system_errors.line(error, _paths(ctx.obj))) from error
            meant = isinstance(error, (ValueError, ModuleNotFoundError)) and _raised_here(error)
            if isinstance(error, HarlibError) or meant:
                raise click.ClickException(str(error)) from error
            raise


def _paths(words: list[str]) -> list[Path]:
    """The files and folders that a command line names; without one, the project's folder."""
    from harlib.study.params.base import project_root

    return [Path(word) for word in words if os.path.lexists(word)] or [project_root()]


def _raised_here(error: Exception) -> bool:
    """Whether a `raise` of harlib made the error, not a library's code or a slip of ours."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    raised = dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
    return raised and Path(code.co_filename).is_relative_to(Path(__file__).parent)


@click.group(cls=_Har, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_OWN)
@click.version_option(package_name="harlib")
@click.option("--debug", is_flag=True, help="Show the traceback of every error.")
def main(debug: bool) -> None:
    """Human action recognition in videos: from files to reports."""
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # a process that a signal ends says where it was


_set = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Replace a parameter."
)


@main.command()
@click.argument("study")
@_set
@click.option("--only", multiple=True, metavar="RUN", help="Run only this run (repeatable).")
@click.option("--forecast/--no-forecast", default=True, help="First measure how long it will take.")
def study(study: str, overrides: tuple[str, ...], only: tuple[str, ...], forecast: bool) -> None:
    """Run a study: the notebooks of params/STUDY in order, and its reports.

    Runs that are complete with the same parameters are kept.
    """
    from harlib.study.runs.study_files import chosen, parse_overrides

    changes = parse_overrides(overrides)
    chosen(study, changes, only)  # before papermill is imported, which takes seconds
    from harlib.study.run_study import run_study

    _, failed = run_study(study, changes, only=only, tell_time=forecast, say=click.echo)
    if failed:
        raise click.exceptions.Exit(1)


@main.command("init")
@click.argument("folder", type=_FOLDER)
@click.option("--study", "studies", multiple=True, default=("demo",), show_default=True,
              help="Whose parameter files to lay out (repeatable).")  # fmt: skip
def init(folder: Path, studies: tuple[str, ...]) -> None:
    """Lay out a working folder: the notebooks, and the parameter files of studies to start from."""
    from harlib import shipped

    made = shipped.lay_out(folder, studies)
    click.echo(f"{folder}: {len(made)} files written" if made else f"{folder}: all is there")
    click.echo(f"Next:  cd {folder}  and  har study {studies[0]}  or  jupyter lab notebooks")


@main.command("demo-data")
@click.argument("folder", type=_FOLDER)
@click.option("--train", default=60, show_default=True, help="Training videos per category.")
@click.option("--val", default=15, show_default=True, help="Val videos per category.")
@click.option("--stills", default=40, show_default=True, help="Still images per category.")
@click.option("--difficulty", type=click.IntRange(1, 3), default=1, show_default=True)
@click.option("--seed", default=0, show_default=True)
def demo_data(folder: Path, train: int, val: int, stills: int, difficulty: int, seed: int) -> None:
    """Draw the embedded action videos into FOLDER, with a Kinetics-format CSV."""
    from harlib.data.demo.dataset import write_dataset

    table = write_dataset(
        folder, train=train, val=val, stills=stills, difficulty=difficulty, seed=seed
    )
    click.echo(table)


@main.command()
@click.option("--folder", type=_FOLDER, help="Videos at [split/]category/*.")
@click.option("--table", type=_FILE, help="CSV or Parquet: path,label[,split,group,start,end].")
@click.option("--kinetics", type=_FILE, multiple=True, help="Kinetics CSV; needs --videos.")
@click.option("--ucf101", type=_FOLDER, help="Folder of UCF101's lists; needs --videos.")
@click.option("--hmdb51", type=_FOLDER, help="Folder of HMDB51's lists; needs --videos.")
@click.option("--stanford40", type=_FOLDER, help="Folder with JPEGImages and ImageSplits.")
@click.option("--videos", type=_FOLDER, help="Folder of the videos, or of .tar(.gz) shards.")
@click.option("--split", type=click.IntRange(1, 3), default=1, help="UCF101's or HMDB51's split.")
@click.option("--categories", type=_FILE, help="Only the categories of this file, one a line.")
@click.option("--val", default=0.2, show_default=True, help="Share of the groups held out.")
@click.option("--seed", default=0, show_default=True, help="Which groups are held out.")
@click.option("--group", metavar="REGEX", help="Its (…) in a file's name is the group.")
@click.argument("csv", type=click.Path(path_type=Path, dir_okay=False))
def catalog(
    csv: Path,
    folder: Path | None,
    table: Path | None,
    kinetics: tuple[Path, ...],
    ucf101: Path | None,
    hmdb51: Path | None,
    stanford40: Path | None,
    videos: Path | None,
    split: int,
    categories: Path | None,
    val: float,
    seed: int,
    group: str | None,
) -> None:
    """List videos with category, split and group into CSV; print the data set's hash.

    Videos inside .tar, .tar.gz and .tgz files are listed too; nothing is unpacked. What is left
    out is said.
    """
    from harlib.data import Catalog
    from harlib.data.catalog import names

    if sum(map(bool, (folder, table, kinetics, ucf101, hmdb51, stanford40))) != 1:
        raise click.UsageError(
            "give one of --folder, --table, --kinetics, --ucf101, --hmdb51 and --stanford40"
        )
    if (kinetics or ucf101 or hmdb51) and not videos:
        raise click.UsageError("these lists need --videos, the folder of the videos")
    if folder:
        listed = Catalog.from_folder(folder, val=val, seed=seed, group=group)
    elif table:
        listed = Catalog.from_table(table, val=val, seed=seed, group=group)
    elif kinetics and videos:
        listed = Catalog.from_kinetics_csv(list(kinetics), videos)
    elif ucf101 and videos:
        listed = Catalog.from_ucf101(videos, ucf101, split=split)
    elif hmdb51 and videos:
        listed = Catalog.from_hmdb51(videos, hmdb51, split=split)
    elif stanford40:
        listed = Catalog.from_stanford40(stanford40)
    if categories:
        listed = listed.select(categories)
    listed.to_csv(csv)
    click.echo(listed)
    click.echo(f"found {listed.found:,} of {len(listed):,} listed videos")
    counts = listed.frame["category"].value_counts(sort=False)
    for note in (f"Categories: {names.first([f'{c} {n:,}' for c, n in counts.items()], 30)}.",
                 *listed.notes):  # fmt: skip
        click.echo(note)
    click.echo(f"hash {listed.hash}")


@main.command()
@click.argument("csv", type=_FILE)
@click.argument("store", type=_FOLDER)
@click.option(
    "--codec", type=click.Choice(["raw", "jpeg", "h264"]), default="jpeg", show_default=True
)
@click.option("--size", type=int, default=128, show_default=True, help="Short side in pixels.")
@click.option("--stretch", type=(int, int), help="HEIGHT WIDTH instead, as C3D's 128 171.")
@click.option("--fps", type=float, help="Frames per second; without it as recorded.")
@click.option("--quality", type=int, default=90, show_default=True, help="JPEG quality.")
@click.option("--workers", type=int, help="Processes; without it one a core.")
@click.option("--scheduler", metavar="TCP://…", help="A Dask scheduler; its workers share STORE.")
@click.option("--repair", is_flag=True, help="Rewrite only what har verify finds damaged.")
def prepare(
    csv: Path,
    store: Path,
    codec: str,
    size: int,
    stretch: tuple[int, int] | None,
    fps: float | None,
    quality: int,
    workers: int | None,
    scheduler: str | None,
    repair: bool,
) -> None:
    """Make the clip store STORE from the catalog CSV; run again, it finishes what was begun."""
    from harlib.data import Catalog
    from harlib.data.store import prepare as preparing
    from harlib.data.store import repair as repairing

    make = repairing.repair if repair else preparing.prepare
    audit = make(
        Catalog.from_csv(csv),
        store,
        codec=codec,
        size=stretch or size,
        fps=fps,
        quality=quality,
        workers=workers,
        scheduler=scheduler,
    )
    click.echo(audit.table.to_string())
    click.echo(f"{audit}; the reason of every video: {store / 'audit.csv'}")


@main.command()
@click.argument("store", type=_FOLDER)
def verify(store: Path) -> None:
    """Check every byte of a clip store; exit 1 when something is damaged."""
    from harlib.data.store import prepare as preparing

    problems = preparing.verify(store)
    if problems.empty:
        click.echo(f"every stored byte of {store} is as it was written")
        return
    click.echo(problems.to_string(index=False))
    click.echo(f"{len(problems)} damaged; har prepare CSV {store} --repair rewrites them")
    raise click.exceptions.Exit(1)


@main.command()
@click.option("--classes", type=int, help="Number of classes to count with.")
@click.option("--frames", type=int, help="Frames per clip to count with.")
@click.option("--size", type=int, help="Pixels per side to count with.")
@click.argument("names", nargs=-1)
def models(
    classes: int | None, frames: int | None, size: int | None, names: tuple[str, ...]
) -> None:
    """List the networks as published: input, parameters, multiply-adds of a clip, paper, accuracy.

    With NAMES or an option, builds them (seconds) and counts instead; 400 classes and 16 frames
    of 112 pixels where not given.
    """
    if not (names or classes or frames or size):
        from harlib.models.weights import published

        click.echo(published.text())
        return
    from harlib import models as networks

    for name in names or networks.names():
        model = networks.build(name, classes or 400, frames=frames or 16, size=size or 112)
        click.echo(
            f"{name:<14} {networks.parameters(model):>12,} parameters "
            f"{networks.gmacs(model):>8.2f} GMACs"
        )


@main.command()
@click.argument("params", nargs=-1, required=True)
@_set
@click.option("--processes", type=click.IntRange(1), default=1, help="Processes to train in.")
@click.option("--coordinator", metavar="HOST:PORT", help="Be one of them: where process 0 listens.")
@click.option("--process", type=int, default=0, help="Its number, from 0; with --coordinator.")
@click.option("--cluster", is_flag=True, help="Be one of them: ask Slurm, Kubernetes, Open MPI.")
def train(
    params: tuple[str, ...],
    overrides: tuple[str, ...],
    processes: int,
    coordinator: str | None,
    process: int,
    cluster: bool,
) -> None:
    """Train and score the model of the files PARAMS (later ones win), without a notebook.

    PARAMS is one or several files, or a run by its name (as mine/03_c3d). --processes alone starts
    them all on this machine; on many, see docs/cluster.md.
    """
    from harlib.study.runs.named import parameter_files
    from harlib.study.runs.study_files import load_run, parse_overrides

    files = parameter_files(params)
    run = load_run(files, parse_overrides(overrides)).params
    if cluster or coordinator:
        from harlib.study import run_processes
        from harlib.training.distributed.cluster import Cluster, find

        said = run_processes.run(
            run,
            find() if cluster or not coordinator else Cluster(coordinator, processes, process),
        )
        if said is not None:
            click.echo(said)
    elif processes > 1:
        from harlib.study import run_processes

        arguments = [*map(str, files), *(x for pair in overrides for x in ("--set", pair))]
        if status := run_processes.launch(arguments, processes, say=click.echo):
            if status == _INTERRUPTED:
                raise KeyboardInterrupt
            raise click.exceptions.Exit(status if status > 0 else 1)
    else:
        from harlib.study.steps import model_run

        click.echo(model_run.run(run))


@main.command()
@click.argument("params", nargs=-1, required=True)
@_set
def preflight(params: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Check labels, network, loader, memory, disk and end of the training that PARAMS describe.

    PARAMS is one or several files, or a run by its name (as mine/03_c3d). Exit 1 when the training
    would be of no use.
    """
    from harlib.study.runs.named import parameter_files
    from harlib.study.runs.study_files import load_run, parse_overrides
    from harlib.study.steps.model_run import preflight_run

    run = load_run(parameter_files(params), parse_overrides(overrides))
    click.echo(repr(preflight_run(run.params)))


@main.command()
@click.argument("run")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), help="Which weights.")
@click.option("--clips", metavar="N|windows", help="Clips a video; windows: all, side by side.")
@click.option("--crops", type=int, help="Crops a clip.")
def evaluate(run: str, **changes: Any) -> None:
    """Score the trained RUN again, without training: its name (as mine/03_c3d) or its folder.

    Options that are not given are the run's own. Scores by others go to a folder of their own
    inside the run's.
    """
    from harlib.study.runs.named import run_folder
    from harlib.study.steps.rescoring import evaluate as evaluate_run

    given = {key: value for key, value in changes.items() if value is not None}
    if given.get("clips", "").isdigit():
        given["clips"] = int(given["clips"])
    click.echo(evaluate_run(run_folder(run), given))


@main.command()
@click.argument("source")
@click.argument("videos", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="FILE.npz, FILE.h5 or FILE.parquet.")  # fmt: skip
@click.option("--layer", default="", help="Its name; without it what the classifier reads.")
@click.option("--per", type=click.Choice(["clip", "video"]), default="clip", show_default=True)
@click.option("--clips", metavar="N|windows", default="10", show_default=True,
              help="Clips a video; windows: all, side by side.")  # fmt: skip
@click.option("--batch", default=8, show_default=True, help="Clips computed at once.")
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def features(source: str, videos: Path, clips: str, **options: Any) -> None:
    """Write a network's feature vectors of VIDEOS: a folder, one file, or a clip store.

    SOURCE is a trained run (as mine/03_c3d, or its folder) or published weights (as
    x3d_xs/kinetics400; har weights list). Run again after an interruption, it resumes.
    """
    from harlib import pretrained
    from harlib.study.runs.named import run_folder
    from harlib.study.steps.video_features import write

    if source not in pretrained.names():
        source = str(run_folder(source))
    if clips != "windows" and not clips.isdigit():
        raise click.UsageError(f"--clips is a number or windows; received {clips!r}")
    number: Any = clips if clips == "windows" else int(clips)
    click.echo(write(source, videos, clips=number, say=click.echo, **options))


@main.command()
@click.argument("study")
@click.option("--out", type=_FOLDER, help="Folder for the pages; without it reports/STUDY.")
def report(study: str, out: Path | None) -> None:
    """Write the pages of STUDY again from what its runs left: its name, or a folder as runs/STUDY.

    Of a single run (mine/03_c3d, or its folder) the one page; of a folder outside runs/STUDY it
    is written into that folder.
    """
    from harlib.study.report.index import write_study
    from harlib.study.report.run_page import write_report
    from harlib.study.runs.named import run_folder, study_runs

    if runs := study_runs(study):
        click.echo(write_study(runs, out))
    else:
        click.echo(write_report(run_folder(study), out))


@main.command("export")
@click.argument("run")
@click.option(
    "--to", type=click.Choice(["keras", "saved_model", "onnx"]), default="keras", show_default=True
)
@click.option("--fold", is_flag=True, help="Fold batch norm into the convolutions.")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="last")
@click.option("--output", type=click.Path(path_type=Path), help="Without it RUN/export/...")
@click.option("--overwrite", is_flag=True, help="Replace a file, or a SavedModel, at --output.")
def export_run(
    run: str, to: str, fold: bool, checkpoint: str, output: Path | None, overwrite: bool
) -> None:
    """Export the trained RUN: uint8 frames in, named scores out; loaded and compared at once.

    README.json beside it says what a clip must be, example_*.py prints the label of a video. A
    keras file needs harlib to be loaded, the others do not. What is there already and is no
    earlier export is kept.
    """
    from harlib.evaluation import confidence
    from harlib.models import export_readme
    from harlib.models.export import export_run
    from harlib.study.runs.named import run_folder

    folder = run_folder(run)
    sure = confidence.of_run(folder, checkpoint)
    path, difference = export_run(
        folder,
        to,
        checkpoint=checkpoint,
        folded=fold,
        path=output,
        overwrite=overwrite,
        more={"confidence": dataclasses.asdict(sure)} if sure else None,
    )
    click.echo(
        f"{path}: loaded and run; its logits differ from the network's by {difference:.1e} of the "
        "largest"
    )
    beside = f"{export_readme.README} and {export_readme.example_name(to)}"
    click.echo(f"It needs {export_readme.NEEDS[to]}. {beside} lie beside it.")


main.add_command(bench)
main.add_command(weights)
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
