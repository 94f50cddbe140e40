"""The networks as published: size, arithmetic, paper and the accuracy others reached with them."""

from importlib import resources

import pandas as pd


def table() -> pd.DataFrame:
    """One row per network, in the order of `models.names()`; read, not computed.

    Returns:
        DataFrame `name, frames, size, classes, parameters, gmacs, paper, accuracy`: trainable
        parameters and billions of multiply-adds of one clip of `frames` x `size` x `size` at
        `classes` classes; accuracy in percent with data, level (one clip, or the mean over a
        video's clips) and source, as `published.csv` beside this module holds them.
    """
    with resources.files("harlib.models.weights").joinpath("published.csv").open() as file:
        return pd.read_csv(file, keep_default_na=False)


def text() -> str:
    """The table for a terminal: two lines per network."""
    lines = []
    for row in table().itertuples():
        clip = f"{row.frames}x{row.size}x{row.size}"
        lines.append(
            f"{row.name:<14} {clip:>10} {row.classes:>4} classes {row.parameters / 1e6:>7.2f} M "
            f"parameters {row.gmacs:>7.2f} GMACs  {row.paper}"
        )
        lines.append(f"{'':<14} published: {row.accuracy}")
    return "\n".join(lines)
