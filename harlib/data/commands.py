"""The commands of `har` about data sets and clip stores."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

# Functions are imported inside their command, so that `har --help` needs no TensorFlow.
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FRAME_FPS = click.FloatRange(0, 1000, min_open=True)
BACKGROUND = click.FloatRange(0, 100)
corrections_option = click.option(
    "--corrections", type=_FILE, metavar="FILE", help="Labels that are wrong and what is right."
)


@click.command("demo-data", short_help="Draw the embedded action videos.")
@click.argument("folder", type=_FOLDER)
@click.option("--train", default=60, show_default=True, help="Training videos per category.")
@click.option("--val", default=15, show_default=True, help="Val videos per category.")
@click.option("--stills", default=40, show_default=True, help="Still images per category.")
@click.option("--difficulty", type=click.IntRange(1, 3), default=1, show_default=True)
@click.option("--people", type=click.IntRange(1, 2), default=1, help="2: up to two, two labels.")
@click.option("--seed", default=0, show_default=True)
@click.option("--untrimmed", is_flag=True, help="Two-minute videos of all actions, and test ones.")
def demo_data(
    folder: Path,
    train: int,
    val: int,
    stills: int,
    difficulty: int,
    people: int,
    seed: int,
    untrimmed: bool,
) -> None:
    """Draw the embedded action videos into FOLDER, with a Kinetics-format CSV.

    With --untrimmed the table lists segments, path,label,start,end,split,group, and --train and
    --val (as many test) count whole videos.
    """
    from harlib.data.demo.dataset import write_dataset
    from harlib.data.demo.untrimmed import write

    how: dict[str, Any] = {"train": train, "val": val, "difficulty": difficulty, "seed": seed}
    if untrimmed and people > 1:
        raise click.UsageError("--untrimmed draws one person per video: leave out --people")
    if untrimmed:
        click.echo(write(folder, test=val, **how))
    else:
        click.echo(write_dataset(folder, stills=stills, people=people, **how))


_SOURCES = ("folder", "table", "kinetics", "ucf101", "hmdb51", "stanford40")
_USED_WITH = {
    "val": _SOURCES[:2],
    "seed": _SOURCES[:2],
    "group": _SOURCES[:2],
    "background": ("table",),
    "videos": ("kinetics", "ucf101", "hmdb51"),
    "split": ("ucf101", "hmdb51"),
    "frame_fps": _SOURCES[:-1],
}


def _check_uses(source: str) -> None:
    """Raises UsageError for an option of `har catalog` that says nothing about this source."""
    context = click.get_current_context()
    for name, sources in _USED_WITH.items():
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and source not in sources:
            *others, last = (f"--{other}" for other in sources)
            raise click.UsageError(
                f"--{name.replace('_', '-')} is of no use with --{source}: it goes with "
                f"{', '.join(others)}{' and ' * bool(others)}{last}"
            )


@click.command(short_help="List videos with category, split and group.")
@click.option("--folder", type=_FOLDER, help="Videos (or frames/*.jpg) at [split/]category/*.")
@click.option("--table", type=_FILE, help="CSV or Parquet: path,label[,split,group,start,end,fps].")
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
@click.option("--frame-fps", type=FRAME_FPS, help="Rate of folders of numbered images.")
@click.option("--background", type=BACKGROUND, default=0.0,
              help="Of --table: unlabelled time, so many times the largest category.")  # fmt: skip
@corrections_option
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
    frame_fps: float | None,
    background: float,
    corrections: Path | None,
) -> None:
    """List videos with category, split and group into CSV; print the data set's hash.

    Videos inside .tar, .tar.gz and .tgz files are listed too; nothing is unpacked. What is left
    out is said.
    """
    from harlib.data import Catalog
    from harlib.data.catalog import corrections as correcting
    from harlib.data.catalog import names

    values = click.get_current_context().params
    sources = [name for name in _SOURCES if values[name]]
    if len(sources) != 1:
        raise click.UsageError(
            "give one of --folder, --table, --kinetics, --ucf101, --hmdb51 and --stanford40"
        )
    if (kinetics or ucf101 or hmdb51) and not videos:
        raise click.UsageError("these lists need --videos, the folder of the videos")
    _check_uses(sources[0])
    how: dict[str, Any] = {"val": val, "seed": seed, "group": group, "frame_fps": frame_fps}
    if folder:
        listed = Catalog.from_folder(folder, **how)
    elif table:
        listed = Catalog.from_table(table, background=background, **how)
    elif kinetics and videos:
        listed = Catalog.from_kinetics_csv(list(kinetics), videos, frame_fps=frame_fps)
    elif ucf101 and videos:
        listed = Catalog.from_ucf101(videos, ucf101, split=split, frame_fps=frame_fps)
    elif hmdb51 and videos:
        listed = Catalog.from_hmdb51(videos, hmdb51, split=split, frame_fps=frame_fps)
    elif stanford40:
        listed = Catalog.from_stanford40(stanford40)
    if corrections:
        listed = correcting.corrected(listed, corrections)
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


@click.command(short_help="Make the clip store that networks read.")
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
@corrections_option
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
    corrections: Path | None,
) -> None:
    """Make the clip store STORE from the catalog CSV; run again, it finishes what was begun.

    The table of --corrections is video,label,correction,note, as JupyterLab's browser of videos
    writes it; the correction drop leaves a video out. CSV and the videos stay as they are.
    """
    from harlib.data import Catalog, ClipStore
    from harlib.data.catalog import corrections as correcting
    from harlib.data.store import look_alikes
    from harlib.data.store import prepare as preparing
    from harlib.data.store import repair as repairing

    make, listed = repairing.repair if repair else preparing.prepare, Catalog.from_csv(csv)
    if corrections:
        listed = correcting.corrected(listed, corrections)
        click.echo(listed.left_out[-1])
    audit = make(
        listed,
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
    found = look_alikes.look(ClipStore(store))
    look_alikes.mend(found, listed)
    click.echo(found.said())


@click.command(short_help="Check every byte of a clip store.")
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


COMMANDS = (demo_data, catalog, prepare, verify)
