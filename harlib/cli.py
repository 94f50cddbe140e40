"""`har`: every command calls one function of the library."""

import dis
import faulthandler
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from harlib import HarlibError, __version__, system_errors
from harlib.bench.commands import bench
from harlib.data import commands as data_commands
from harlib.pretrained.commands import weights
from harlib.progress import StoppedAt
from harlib.study import commands as study_commands
from harlib.study import completion

# Functions are imported inside their command, so that `har --help` needs no TensorFlow.
_FOLDER = click.Path(path_type=Path, file_okay=False)
_INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells give to what Ctrl-C ended


# Commands that keep what is done when they are stopped.
_RESUMES = ("study", "train", "evaluate", "features", "label", "prepare", "demo-data")

# What a person wants to do, and the commands for it.
_SECTIONS = {
    "Your own videos": ("new-study", "study", "predict", "serve", "label"),
    "Study and report": ("init", "list", "report", "compare", "clean"),
    "One training": ("preflight", "train", "evaluate", "segments"),
    "Networks at work": ("models", "weights", "features", "export"),
    "Data sets and clip stores": ("demo-data", "catalog", "prepare", "verify"),
    "Measure this machine": ("bench",),
}

_OWN = """\b
Your own videos, my-videos/CATEGORY/*.mp4 (after `make setup` or pip install):
  har new-study mine --videos my-videos
  har study mine
  har predict mine/03_c3d new.mp4

\b
Exit codes:
    0  done
    1  refused or failed, or a fault was found: the last lines say what
    2  no such command, option or file, or a value of the wrong kind
  130  stopped by Ctrl-C
  143  stopped by kill or a batch system
"""


class _Har(click.Group):
    """Says what a person can mend in one line, without a traceback; Ctrl-C too.

    That is a `HarlibError`, what the system refused, and what harlib itself raised about values or
    missing packages. Anything else is a fault of the program, and shows where.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = [name for names in _SECTIONS.values() for name in names]
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        width = max(map(len, self.commands))
        for title, names in (_SECTIONS | {"More": others}).items():
            rows = [
                (f"{name:<{width}}", self.commands[name].get_short_help_str(100)) for name in names
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

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
        except click.UsageError as error:
            if "unexpected extra argument" not in error.message:
                raise
            said = f"{error.message}: what has spaces stands in quotes"
            raise click.UsageError(said, error.ctx) from None
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
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of every error.")
def main(debug: bool) -> None:
    """Human action recognition in videos: from files to reports."""
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # a process that a signal ends says where it was


def _pairs(
    context: click.Context, option: click.Parameter, items: tuple[str, ...]
) -> tuple[str, ...]:
    for item in items:
        if "=" not in item:
            raise click.BadParameter(f"{item!r} is no KEY=VALUE, as epochs=3")
    return items


_set = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", callback=_pairs,
                    help="Replace a parameter.")  # fmt: skip


@main.command(short_help="Run a study's notebooks and write its reports.")
@click.argument("study", shell_complete=completion.studies)
@_set
@click.option("--only", multiple=True, metavar="RUN", help="Run only this run (repeatable).",
              shell_complete=completion.runs_of_study)  # fmt: skip
@click.option("--forecast/--no-forecast", default=True, help="First measure how long it will take.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what would run, why, how long, on what disk."
)
def study(
    study: str, overrides: tuple[str, ...], only: tuple[str, ...], forecast: bool, dry_run: bool
) -> None:
    """Run a study: the notebooks of params/STUDY in order, and its reports.

    Runs that are complete with the same parameters are kept.
    """
    from harlib.study.runs.study_files import chosen, parse_overrides

    changes = parse_overrides(overrides)
    if dry_run:
        from harlib.study.dry_run import dry_run as told

        return told(study, changes, only=only, tell_time=forecast, say=click.echo)
    chosen(study, changes, only)  # before papermill is imported, which takes seconds
    from harlib.study.run_study import run_study

    _, failed = run_study(study, changes, only=only, tell_time=forecast, say=click.echo)
    if failed:
        raise click.exceptions.Exit(1)


@main.command("init", short_help="Lay out a working folder with notebooks and parameter files.")
@click.argument("folder", type=_FOLDER)
@click.option("--study", "studies", multiple=True, default=("demo",), show_default=True,
              help="Whose parameter files to lay out (repeatable).",
              shell_complete=completion.studies)  # fmt: skip
def init(folder: Path, studies: tuple[str, ...]) -> None:
    """Lay out a working folder: the notebooks, and the parameter files of studies to start from."""
    from harlib import shipped

    made = shipped.lay_out(folder, studies)
    click.echo(f"{folder}: {len(made)} files written" if made else f"{folder}: all is there")
    click.echo(f"Next:  cd {folder}  and  har study {studies[0]}  or  jupyter lab notebooks")


@main.command(short_help="List the networks: input, parameters, accuracy, paper.")
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


@main.command(short_help="Train and score without a notebook, also in several processes.")
@click.argument("params", nargs=-1, required=True, shell_complete=completion.runs_with_files)
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


@main.command(short_help="Check everything that a training needs before it begins.")
@click.argument("params", nargs=-1, required=True, shell_complete=completion.runs_with_files)
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


@main.command(short_help="Score a trained run again, by its own protocol or another.")
@click.argument("run", shell_complete=completion.trained_runs)
@click.option("--checkpoint", type=click.Choice(["best", "last"]), help="Which weights.")
@click.option("--clips", metavar="N|windows", callback=study_commands.clips,
              help="Clips a video; windows: all, side by side.")  # fmt: skip
@click.option("--crops", type=int, help="Crops a clip.")
def evaluate(run: str, **changes: Any) -> None:
    """Score the trained RUN again, without training: its name (as mine/03_c3d) or its folder.

    Options that are not given are the run's own. Scores by others go to a folder of their own
    inside the run's.
    """
    from harlib.study.runs.named import run_folder
    from harlib.study.steps.rescoring import evaluate as evaluate_run

    given = {key: value for key, value in changes.items() if value is not None}
    click.echo(evaluate_run(run_folder(run), given))


@main.command(short_help="Write a network's feature vectors of a folder of videos.")
@click.argument("source", shell_complete=completion.trained_runs)
@click.argument("videos", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="FILE.npz, FILE.h5 or FILE.parquet.")  # fmt: skip
@click.option("--layer", default="", help="Its name; without it what the classifier reads.")
@click.option("--per", type=click.Choice(["clip", "video"]), default="clip", show_default=True)
@click.option("--clips", metavar="N|windows", default="10", show_default=True,
              callback=study_commands.clips,
              help="Clips a video; windows: all, side by side.")  # fmt: skip
@click.option("--batch", default=8, show_default=True, help="Clips computed at once.")
@click.option("--frame-fps", type=data_commands.FRAME_FPS,
              help="Rate of folders of numbered images.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the file at --out.")
def features(source: str, videos: Path, **options: Any) -> None:
    """Write a network's feature vectors of VIDEOS: a folder, one file, or a clip store.

    SOURCE is a trained run (as mine/03_c3d, or its folder) or published weights (as
    x3d_xs/kinetics400; har weights list). Run again after an interruption, it resumes.
    """
    from harlib.study.steps.video_features import write

    click.echo(write(str(study_commands.named(source)), videos, say=click.echo, **options))


@main.command(short_help="Write the pages of a study or of a run again.")
@click.argument("study", shell_complete=completion.studies_or_runs)
@click.option("--out", type=_FOLDER, help="Folder for the pages; without it reports/STUDY.")
@click.option("--videos", is_flag=True, help="Also copies of all scored videos, to be played.")
@click.option("--previews", metavar="SIZE", callback=study_commands.size_option,
              help="Copies are added to videos.html up to this size; without it 8MB.")  # fmt: skip
@click.option("--bundle", metavar="FILE.zip", type=click.Path(path_type=Path, dir_okay=False),
              help="Pages, tables and the best network in a file to send.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the file at --bundle.")
def report(
    study: str,
    out: Path | None,
    videos: bool,
    previews: int | None,
    bundle: Path | None,
    overwrite: bool,
) -> None:
    """Write the pages of STUDY again from what its runs left: its name, or a folder as runs/STUDY.

    Of a single run (mine/03_c3d, or its folder) the one page; of a folder outside runs/STUDY it
    is written into that folder. With --videos, the page videos.html plays every video, and those
    that tell most also with the places where the best network looked. With --bundle, all of it
    also lies in a zip file, which is refused if it tells where on this machine anything lies.
    """
    from harlib.files import check_output
    from harlib.study.report import bundle as bundling
    from harlib.study.report import video_copies
    from harlib.study.report.index import write_study
    from harlib.study.report.run_page import reports_folder, write_report
    from harlib.study.runs.named import run_folder, study_runs

    runs = study_runs(study)
    given = {"--videos": videos, "--previews": previews is not None, "--bundle": bundle is not None}
    for option in given:
        if given[option] and not runs:
            raise HarlibError(f"{option} is of a whole study, and {study} is a run: name its study")
    if bundle:
        check_output(bundle, [".zip"], overwrite=overwrite)
    elif overwrite:
        raise click.UsageError("--overwrite is for --bundle FILE.zip")
    if runs:
        if videos:
            video_copies.write(runs, out or reports_folder(runs), say=click.echo)
        click.echo(index := write_study(runs, out, videos_most=previews))
        if bundle:
            bundling.write(runs, index.parent, bundle, overwrite=overwrite, say=click.echo)
    else:
        click.echo(write_report(run_folder(study), out))


@main.command("export", short_help="Write a trained network as Keras, SavedModel or ONNX.")
@click.argument("run", shell_complete=completion.trained_runs)
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
    more = confidence.for_export(folder, checkpoint)
    path, difference = export_run(
        folder,
        to,
        checkpoint=checkpoint,
        folded=fold,
        path=output,
        overwrite=overwrite,
        more=more,
    )
    what = "scores" if "thresholds" in more else "logits"
    click.echo(
        f"{path}: loaded and run; its {what} differ from the network's by {difference:.1e} of the "
        "largest"
    )
    beside = f"{export_readme.README} and {export_readme.example_name(to)}"
    click.echo(f"It needs {export_readme.NEEDS[to]}. {beside} lie beside it.")


for command in (bench, weights, *data_commands.COMMANDS, *study_commands.COMMANDS):
    main.add_command(command)


if __name__ == "__main__":
    main()
