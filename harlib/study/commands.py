"""The commands of `har` about what studies left: their networks at work."""

import re
from pathlib import Path
from typing import Any

import click

from harlib.data import commands as data_commands
from harlib.study import completion
from harlib.text import near, parse_size, size


def _seconds(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """ "1s", "0.5 s", "500ms", "30min", "2h" or "2" as seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|h)?\s*", value)
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not 0 < seconds <= _MOST_S:
        raise click.BadParameter(f"{value!r} is no time above 0: write 1s, 0.5s, 30min or 2h")
    return seconds


_MOST_S = 1e7  # four months
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def clips(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """A number of clips, or "windows"."""
    if value is None or value == "windows":
        return value
    if not (value.isdecimal() and value.isascii() and 0 < int(value) < 1_000_000):
        raise click.BadParameter(f"{value!r} is neither a number above 0 nor windows")
    return int(value)


@click.command(short_help="Name what is in new videos, and when.")
@click.argument("source", shell_complete=completion.trained_runs)
@click.argument("videos", nargs=-1, required=True)
@click.option("--clips", metavar="N|windows", callback=clips,
              help="Clips per video, equally spaced; windows: all, side by side.")  # fmt: skip
@click.option("--every", metavar="TIME", callback=_seconds,
              help="A window every so often (1s, 0.5s): what happens when.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=5, show_default=True,
              help="Categories listed per video and window.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1),
              help="Below it a video is none of these; else chosen on val.")  # fmt: skip
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="last",
              help="Which weights of a run.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="FILE.csv, .json, .parquet, or .srt (subtitles of one video).")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, file_okay=False),
              help="A new folder for pages with video and timeline.")  # fmt: skip
@click.option("--overlay", type=click.Path(path_type=Path, dir_okay=False),
              help="FILE.mp4: the video with its labels drawn in.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the files at --out and --overlay.")
@click.option("--frame-fps", type=data_commands.FRAME_FPS,
              help="Rate of folders of numbered images.")  # fmt: skip
@click.option("--for", "for_s", metavar="TIME", callback=_seconds,
              help="Of a camera: how long; else until Ctrl-C.")  # fmt: skip
@click.option("--batch", default=8, show_default=True, help="Clips computed at once.")
def predict(source: str, videos: tuple[str, ...], **options: Any) -> None:
    """Name what is in VIDEOS: files, folders, tables with a column of paths, or - for a list.

    camera:0 is this machine's first camera, watched live: a line per window, until Ctrl-C.

    SOURCE is a trained run (as mine/03_c3d, or its folder), what har export wrote, or published
    weights (as x3d_s/kinetics400; har weights list). A video up to 30 s is scored with the run's
    own protocol, a longer one in windows side by side. Exit 1 when a video cannot be read.
    """
    from harlib.inference import asking, camera, load

    for_s = options.pop("for_s")
    if any(map(camera.is_camera, videos)):
        _watch(source, videos, options | {"for_s": for_s})
        return
    if for_s is not None:
        raise click.UsageError("--for is for a live camera, as camera:0")
    paths, notes = asking.listed(videos, options.pop("frame_fps"))
    written = {key: options[key] for key in ("out", "report", "overlay", "overwrite")}
    asking.check([*paths, *(v for v in videos if v not in paths)], **written)
    for note in notes:
        click.echo(note)
    predictor = load(named(source), checkpoint=options.pop("checkpoint"))
    if predictor.note:
        click.echo(predictor.note)
    if not asking.predict(predictor, paths, say=click.echo, **options):
        raise click.exceptions.Exit(1)


def size_option(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """ "8GB", "200 MB" or a number as bytes; None of None."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(short_help="Open a page on which a video is dropped, and named.")
@click.argument("source", shell_complete=completion.trained_runs)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True,
              help="Where it listens; 0: any that is free.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address; one that others reach needs a token.")  # fmt: skip
@click.option("--token", envvar="HAR_TOKEN",
              help="What requests must know; else made where one is needed.")  # fmt: skip
@click.option("--max-upload", "limit", metavar="SIZE", default="200MB", show_default=True,
              callback=size_option, help="The largest file that is taken.")  # fmt: skip
@click.option("--max-length", "longest_s", metavar="TIME", default="10min", show_default=True,
              callback=_seconds, help="The longest video that is taken.")  # fmt: skip
@click.option("--max-time", "limit_s", metavar="TIME", default="10min", show_default=True,
              callback=_seconds, help="After it a video is given up.")  # fmt: skip
@click.option("--max-waiting", "most", type=click.IntRange(1), default=32, show_default=True,
              help="Videos sent or waiting at once; more are told to come again.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(0, 1),
              help="Below it a video is none of these; else chosen on val.")  # fmt: skip
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="last",
              help="Which weights of a run.")  # fmt: skip
def serve(source: str, threshold: float | None, checkpoint: str, **options: Any) -> None:
    """Open a page on this machine: drop a video, or record one, and see what SOURCE says of it.

    Programs ask the same by JSON: curl -T clip.mp4 -X POST http://127.0.0.1:8765/api/predict

    SOURCE is as of har predict. Only this machine reaches it unless --host says otherwise. Ctrl-C
    ends it; no video stays.
    """
    from harlib import serving

    found = named(source)
    serving.serve_network(found, checkpoint, threshold, say=click.echo, **options)


def _watch(source: str, videos: tuple[str, ...], options: dict[str, Any]) -> None:
    """`predict` of a camera."""
    from harlib.inference import asking, camera, live, load

    if len(videos) > 1:
        raise click.UsageError("a camera is watched alone: name it and nothing else")
    for other in ("clips", "report", "overlay", "frame_fps"):
        if options.pop(other) is not None:
            raise click.UsageError(f"--{other.replace('_', '-')} is for files, not for a camera")
    del options["batch"]
    live.check(options["out"], overwrite=options["overwrite"])
    opened = camera.Camera(videos[0])  # asked before the network is loaded, which takes seconds
    predictor = load(named(source), checkpoint=options.pop("checkpoint"))
    if predictor.note:
        click.echo(predictor.note)
    live.predict(
        asking.judged(predictor, options.pop("threshold")), opened, say=click.echo, **options
    )


def named(source: str) -> str | Path:
    """A run by its name where there is one; published weights and what is there as they are.

    Raises:
        HarlibError: none of these; the message has the nearest names.
    """
    from harlib import pretrained

    known = pretrained.names()
    if source in known or Path(source).exists():
        return source
    if any(name.startswith(f"{source}/") for name in known) or near(source, known, cutoff=0.8):
        pretrained.find(source)  # says which weights are perhaps meant
    from harlib.study.runs.named import run_folder

    return run_folder(source)


@click.command(short_help="Label videos in a browser, those first that teach most.")
@click.argument("source", shell_complete=completion.trained_runs)
@click.option("--from", "videos", metavar="FOLDER", required=True,
              help="The videos, in folders of any names; or a table of paths.")  # fmt: skip
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False),
              default="labels.csv", show_default=True,
              help="Where labels are added, a row each; made if it is not there.")  # fmt: skip
@click.option("--category", "categories", multiple=True, metavar="NAME",
              help="Has a key from the start (repeatable).")  # fmt: skip
@click.option("--by", type=click.Choice(["badge", "unsure", "unsure-groups", "typical",
              "different", "random"]), help="The order; else what measured best.")  # fmt: skip
@click.option("--round", "size", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="Labels after which the order is made anew.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8770, show_default=True,
              help="Of the page on this machine; 0: any that is free.")  # fmt: skip
@click.option("--token", envvar="HAR_TOKEN",
              help="What requests must know, on a machine that others share.")  # fmt: skip
def label(source: str, videos: str, **options: Any) -> None:
    """Label videos in a browser by one key each, those first that would teach the most.

    SOURCE is a trained run (as mine/03_c3d, or its folder) or published weights (as
    efficientnet_lite0/imagenet). The table is one for har new-study and har catalog. Nothing is
    moved, and no label that is there is changed; the same command goes on with what is left.
    """
    from harlib.labelling import sitting

    sitting.label(named(source), videos, say=click.echo, **options)


@click.command("new-study", short_help="Write the parameter files of a study of your own videos.")
@click.argument("name")
@click.option("--videos", type=click.Path(path_type=Path, exists=True), required=True,
              help="A folder per category, or a table path,label.")  # fmt: skip
@click.option("--stills", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Pictures in a folder per category, for a 2D network.")  # fmt: skip
@click.option("--budget", metavar="TIME", default="15min", show_default=True, callback=_seconds,
              help="About how long the study may take here.")  # fmt: skip
@click.option("--folds", type=click.IntRange(0, 20),
              help="Cross-validation by group; 0: none; else the count decides.")  # fmt: skip
@click.option("--group", metavar="REGEX",
              help="Its (…) in a file's name is the video's group.")  # fmt: skip
@click.option("--size", type=click.IntRange(16, 512), default=64, show_default=True,
              help="Pixels of the short side that the network sees.")  # fmt: skip
@click.option("--frame-fps", type=data_commands.FRAME_FPS,
              help="Rate of folders of numbered images.")  # fmt: skip
@click.option("--background", type=data_commands.BACKGROUND, default=0.0,
              help="Of a table: unlabelled time, so many times the largest category.")  # fmt: skip
@data_commands.corrections_option
def new_study(
    name: str,
    videos: Path,
    stills: Path | None,
    budget: float,
    folds: int | None,
    group: str | None,
    size: int,
    frame_fps: float | None,
    background: float,
    corrections: Path | None,
) -> None:
    """Look at your VIDEOS and write the parameter files of a study that fits them.

    Then har study NAME trains and reports. What is written is an ordinary study, with comments
    that say why; change what you like.
    """
    from harlib.study import new_study as making

    making.refuse(name)
    seen = making.look(
        videos,
        group=group,
        stills=stills,
        frame_fps=frame_fps,
        background=background,
        corrections=corrections,
    )
    chosen = making.plan(seen, budget_s=budget, folds=folds, size=size)
    files = making.write(name, seen, chosen)
    for line in making.told(seen, chosen):
        click.echo(line)
    click.echo(f"Written: {files[0].parent}, {len(files)} files")
    click.echo(f"Next:  har study {name}")


@click.command(short_help="Find segments in untrimmed videos; compare with labelled ones.")
@click.argument("source", shell_complete=completion.trained_runs)
@click.argument("table", required=False,
                type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="val",
              show_default=True, help="Whose videos.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for page and tables; else RUN/segments/SPLIT.")  # fmt: skip
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="last",
              help="Which weights of a run.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace what this command wrote there.")
def segments(source: str, table: Path | None, **options: Any) -> None:
    """Find the actions in untrimmed videos, and compare with the labelled segments of TABLE.

    TABLE is path,label,start,end[,split,group], several rows per video; without it the segments
    that the run's own data came from. SOURCE is as of har predict. Says precision, recall, F1 and
    mAP at temporal overlaps of 0.3, 0.5 and 0.7; a page shows both tracks of each video.
    """
    from harlib.study.steps import found_segments

    page = found_segments.compare(named(source), table, say=click.echo, **options)
    click.echo(f"Report: {page}")


@click.command("list", short_help="List studies, runs, their accuracy, and what lies on the disk.")
@click.argument("study", required=False, shell_complete=completion.studies_with_runs)
def list_(study: str | None) -> None:
    """List studies, their runs, how each stands, its accuracy, and what lies on the disk."""
    from harlib.study.runs import listing

    click.echo(listing.text(listing.listing(study)))


@click.command(short_help="Compare runs: settings, accuracy, a paired test, the videos.")
@click.argument("runs", nargs=-1, required=True, shell_complete=completion.scored_runs)
def compare(runs: tuple[str, ...]) -> None:
    """Compare RUNS that scored the same videos, of one study or of several.

    What differs in their settings, the accuracy of each, a paired test, the categories and the
    videos where they differ. A run is its name (as mine/03_c3d) or its folder.
    """
    from harlib.study.steps import comparing

    click.echo(comparing.compare(runs))


@click.command(short_help="Delete what no run needs: says what, and asks first.")
@click.argument("study", required=False, shell_complete=completion.studies_with_runs)
@click.option("--dry-run", is_flag=True, help="Only list what may be deleted.")
def clean(study: str | None, dry_run: bool) -> None:
    """Delete what no run needs and can be made again: says what and asks first.

    Your own videos, networks, scores of current runs and reports always stay.
    """
    from harlib.study.runs import cleaning

    found = cleaning.candidates(study)
    click.echo(cleaning.text(found))
    if doubts := cleaning.doubts():
        click.echo("Not offered while this cannot be read: stores, drawn videos, earlier runs.")
    for doubt in doubts:
        click.echo(f"  {doubt}")
    if found and not dry_run:
        click.confirm("Delete all of these, for good?", abort=True)
        deleted = cleaning.delete(found)
        click.echo(f"Deleted: {size(sum(one.bytes for one in deleted))}")


COMMANDS = (new_study, predict, serve, segments, label, list_, compare, clean)
