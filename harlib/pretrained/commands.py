"""`har weights`: published weights listed, described and fetched."""

from pathlib import Path

import click


@click.group(short_help="List, describe and fetch published weights.")
def weights() -> None:
    """Published weights: what there is, and their files."""


@weights.command("list")
def list_() -> None:
    """List every set of weights: clip, published accuracy, licence, whether it is here."""
    from harlib.pretrained import published

    click.echo(published.text())


@weights.command()
@click.argument("name")
def show(name: str) -> None:
    """Say all that is known of the weights NAME, as x3d_s/kinetics400."""
    from harlib.pretrained import published

    click.echo(published.describe(published.find(name)))


@weights.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All that can be fetched without a browser.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that was fetched elsewhere: it is checked and put in its place.",
)
def fetch(name: str | None, every: bool, source: Path | None) -> None:
    """Fetch the file of the weights NAME into ~/.cache/harlib (or HARLIB_CACHE) and check it.

    A download that was cut resumes.
    """
    from harlib.pretrained import published
    from harlib.pretrained.fetch import fetch as fetch_file

    if (name is None) != every or (every and source):
        raise click.UsageError("give the NAME of one set of weights, or --all")
    for one in [name] if name else published.names():
        found = published.find(one)
        if every and found.by_hand:
            click.echo(f"{one}: fetch {found.file} by hand from {found.url}")
            continue
        path = fetch_file(found, source=source)
        checked = "its digest is the published one" if found.sha256 else "no digest is published"
        click.echo(f"{one}: {path}, {checked}")
        if found.commercial != "yes":
            click.echo(f"{one}: licence {found.licence}: {published.TERMS[found.commercial]}")
