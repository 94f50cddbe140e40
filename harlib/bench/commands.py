"""`har bench`: the commands of this stage."""

import os
import platform
from pathlib import Path

import click

from harlib import HarlibError

# Functions are imported inside their command, so that `har --help` needs no TensorFlow.
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(short_help="Measure reading, training and the largest batch.")
def bench() -> None:
    """Measure this machine: harlib beside its peers, ratios within one run."""
    if os.name != "posix":
        raise HarlibError(f"har bench measures on Linux and macOS; this is {platform.system()}")


_json = click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the rows."
)


@bench.command("data")
@_json
@click.option("--videos", type=_FOLDER, help="Folder of videos; without it embedded ones.")
@click.option("--as-kinetics", is_flag=True, help="First write --videos as Kinetics' files are.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False), help="Write a PNG.")
@click.option("--seconds", default=5.0, show_default=True, help="Time a measurement.")
def bench_data(
    json_file: Path | None,
    videos: Path | None,
    as_kinetics: bool,
    figure: Path | None,
    seconds: float,
) -> None:
    """Clips/s per core and bytes per video: every codec, on-the-fly decoding, the study's layout.

    All files are read from the page cache: the disk's speed is not measured.
    """
    from harlib.bench import data

    rows = data.run(
        videos,
        as_kinetics=as_kinetics or None,
        json_file=json_file,
        figure=figure,
        seconds=seconds,
        say=click.echo,
    )
    click.echo(data.table(rows))


_bench_models = click.option(
    "--models", default="resnext3d_101,c3d", show_default=True, help="Names, by commas."
)
_bench_frames = click.option("--frames", default=16, show_default=True)
_bench_size = click.option("--size", default=112, show_default=True, help="Pixels a side.")
_bench_policies = click.option(
    "--policies", default="float32,mixed_bfloat16", show_default=True, help="By commas."
)
_bench_limit = click.option(
    "--limit", default=600.0, show_default=True, help="Seconds for a first step, and for a turn."
)


@bench.command("train")
@_json
@_bench_models
@_bench_policies
@click.option(
    "--engines",
    default="harlib,keras-stock,torch,onnxruntime,openvino",
    show_default=True,
    help="The last two score alone, on a CPU.",
)
@click.option("--modes", default="train,infer", show_default=True)
@click.option("--batch", default=4, show_default=True)
@_bench_frames
@_bench_size
@click.option("--steps", default=4, show_default=True, help="Steps a turn, at most.")
@_bench_limit
def bench_train(
    json_file: Path | None,
    models: str,
    policies: str,
    engines: str,
    modes: str,
    batch: int,
    frames: int,
    size: int,
    steps: int,
    limit: float,
) -> None:
    """Clips/s of training and inference: harlib and its peers; in turns, as children."""
    from harlib.bench import train

    rows = train.run(
        models.split(","),
        engines=engines.split(","),
        policies=policies.split(","),
        modes=modes.split(","),
        batch=batch,
        frames=frames,
        size=size,
        steps=steps,
        limit_s=limit,
        json_file=json_file,
        say=click.echo,
    )
    click.echo(train.table(rows))


@bench.command("batch")
@_json
@_bench_models
@_bench_policies
@click.option("--memory", help="Main memory a try may hold, as 8GB; else 90% of what is free.")
@click.option("--most", default=256, show_default=True, help="Batch to stop at.")
@_bench_frames
@_bench_size
@click.option("--steps", default=3, show_default=True, help="Measured steps a try.")
@_bench_limit
def bench_batch(
    json_file: Path | None,
    models: str,
    policies: str,
    memory: str | None,
    most: int,
    frames: int,
    size: int,
    steps: int,
    limit: float,
) -> None:
    """The largest batch that trains, and its clips/s, by model and policy; tries are children."""
    from harlib.bench import batch

    batch.run(
        models.split(","),
        policies=policies.split(","),
        memory=batch.parse_memory(memory),
        most=most,
        frames=frames,
        size=size,
        steps=steps,
        limit_s=limit,
        json_file=json_file,
        say=click.echo,
    )


@bench.command("grouped")
@_json
@click.option("--turns", default=3, show_default=True, help="Of which the fastest counts.")
def bench_grouped(json_file: Path | None, turns: int) -> None:
    """CPU time of every way to compute the ResNeXts' grouped convolutions (TensorFlow, CPU)."""
    from harlib.bench import grouped

    grouped.run(turns=turns, json_file=json_file, say=click.echo)


@bench.command("label")
@_json
@click.option("--folder", type=_FOLDER, help="Where drawn videos stay; else a temporary one.")
@click.option("--videos", type=_FOLDER, help="A folder per category; without it embedded videos.")
@click.option("--network", default="efficientnet_lite0/imagenet", show_default=True)
@click.option("--ways", help="Orders of har label, by commas; without it all.")
@click.option("--drawn", default=0, show_default=True, help="Seed of the drawn videos.")
@click.option("--seeds", default=10, show_default=True, help="Beginnings, from --begin on.")
@click.option("--begin", default=0, show_default=True, help="Seed of the first beginning.")
@click.option("--first", default=20, show_default=True, help="Labels to begin with.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--size", default=20, show_default=True, help="Labels a round.")
def bench_label(
    json_file: Path | None,
    folder: Path | None,
    videos: Path | None,
    network: str,
    ways: str | None,
    drawn: int,
    seeds: int,
    begin: int,
    first: int,
    rounds: int,
    size: int,
) -> None:
    """Accuracy by number of labels: what har label chooses, beside as many labels at random."""
    import tempfile

    from harlib.bench import label
    from harlib.labelling import ranking

    with tempfile.TemporaryDirectory() as temporary:
        rows = label.run(
            folder or Path(temporary),
            videos=videos,
            network=network,
            ways=ways.split(",") if ways else tuple(ranking.WAYS),
            drawn=drawn,
            seeds=range(begin, begin + seeds),
            first=first,
            rounds=rounds,
            size=size,
            json_file=json_file,
            say=click.echo,
        )
    click.echo(label.table(rows))
