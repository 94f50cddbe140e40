"""What can be taken away of a scored run as files: predictions, categories, metrics, history.

They lie in a folder beside the run's page, named after the run. Text in a CSV file that a
spreadsheet would run as a formula gets an apostrophe before it; numbers stay numbers.
"""

import csv
import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd

from harlib.data import Audit, label_sets
from harlib.data.catalog import names
from harlib.evaluation import Scores, hits, multi_label
from harlib.evaluation.category_table import category_table
from harlib.files import appearing, read_json, write_text
from harlib.run_folder import RunFolder
from harlib.study.report import private
from harlib.study.runs import scored_videos
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.text import FORMULA, size

NAMES = ("predictions.csv", "predictions.parquet", "categories.csv", "metrics.json", "history.csv")
_PREDICTIONS = (
    "a row per listed video. video: its name; file: the video file, empty once the clip store is "
    "gone; group: videos of one person or recording, which stay on one side of the split; split: "
    "the part that was scored; true: its {label}; called: what the network says, empty of a video "
    "that could not be read; correct: {correct}; {more}p_ and a {label}'s name: its probability, "
    "the mean over the video's views"
)
_CATEGORIES = (
    "a row per {label}. n: listed videos that have it; missing: those of them that could not be "
    "read and count as wrong; {measure}; low, high: the ends of its 95 % interval; precision: of "
    "the videos called so, the share that truly are; recall: of those that truly are, the share "
    "called so; f1: the harmonic mean of both{more}; empty: no video has it"
)
_METRICS = (
    "the whole run. video: of whole videos, their views averaged; clip: of single views; n: how "
    "many of them; shares are of 1, an interval is its low and its high end; categories: how many "
    "there are; missing: listed videos that could not be read; protocol: how it was scored; model: "
    "its network, with gmacs in billion multiply-adds per clip; minutes: wall time until it was "
    "scored{more}"
)
_OF_ONE = (
    "; top1, top5: the true category is the first, or among the first five; mean_class: accuracy "
    "averaged over categories; majority: what always naming the most frequent category gives; "
    "calibration_error: how far confidence and accuracy lie apart on average"
)
_OF_SEVERAL = (
    "; mean_average_precision: averaged over labels; chance: what guessing gives; micro_f1, "
    "macro_f1: over all decisions, or averaged over labels; exact: share of videos with exactly "
    "the true labels; label_sets: combinations of labels; labels: each of them; without_video: "
    "those that no video has"
)
_HISTORY = (
    "a row per epoch of the training. loss, accuracy: of the clips it was trained on; val_loss, "
    "val_accuracy: of single clips of the validation videos; lr: the learning rate at its end; "
    "seconds: of its steps; clips_per_s: clips per second; wait_share: share of the time spent "
    "waiting for data; memory_bytes: memory of its processes"
)
_DIGITS = 5  # of a probability, behind the point, in the CSV file
_FORMULA = re.compile(FORMULA)


class Download(NamedTuple):
    """A file to take away, as a page links it."""

    name: str
    link: str
    size: str


def write(run_dir: Path, folder: Path, root: Path) -> list[Path]:
    """Writes the files of a scored run into ``folder/<run>/``; returns them.

    The same run files give the same bytes. A Parquet file is written where pyarrow is installed.
    What an earlier call left there and is no part of the run any more goes.

    Args:
        folder: of the run's page. root: the project's, whose place on this machine is left out.
    """
    run_dir = Path(run_dir).resolve()
    run, out = RunFolder(run_dir), Path(folder) / run_dir.name
    scores = scored_videos.scores_of(run_dir)
    split = str(read_json(run.metrics, "protocol")["protocol"]["split"])
    about = _videos(run_dir, scores, split)
    written = {"predictions.csv", "categories.csv", "metrics.json"}
    _write_csv(out / "predictions.csv", about, scores, split)
    if importlib.util.find_spec("pyarrow"):
        _write_parquet(out / "predictions.parquet", about, scores, split)
        written.add("predictions.parquet")
    write_text(out / "categories.csv", _csv_text(category_table(scores, split)), durable=False)
    for name, source in (("metrics.json", run.metrics), ("history.csv", run.history)):
        if source.is_file():
            text = private.hide(source.read_text(encoding="utf-8"), root, [run_dir])
            write_text(out / name, text, durable=False)
            written.add(name)
    for name in set(NAMES) - written:
        (out / name).unlink(missing_ok=True)
    return [out / name for name in NAMES if name in written]


def columns(there: Iterable[str] = NAMES, *, several: bool = False) -> dict[str, str]:
    """{file: what its columns, or keys, mean}, of the files that are there.

    several: videos may have several labels.
    """
    label = "label" if several else "category"
    predictions = _PREDICTIONS.format(
        label=label,
        correct="whether exactly the true labels were named" if several else "whether they agree",
        more="given_ and a label's name: whether it is named; " if several else "",
    )
    categories = _CATEGORIES.format(
        label=label,
        measure="average_precision: of the videos ranked by its probability"
        if several
        else "accuracy: the share that is called so",
        more="; threshold: the probability from which on it is named" if several else "",
    )
    metrics = _METRICS.format(more=_OF_SEVERAL if several else _OF_ONE)
    found = {
        "predictions.csv, predictions.parquet": predictions,
        "categories.csv": categories,
        "metrics.json": metrics,
        "history.csv": _HISTORY,
    }
    names = set(there)
    return {files: text for files, text in found.items() if names & set(files.split(", "))}


def of_run(run_dir: Path, folder: Path, root: Path) -> list[Download]:
    """Writes what can be taken away of a run, arguments as of `write`; without scores nothing."""
    run = RunFolder(run_dir)
    if all(file.is_file() for file in (run.metrics, run.scores)):
        write(run_dir, folder, root)
    return there(folder, Path(run_dir).name)


def there(folder: Path, run: str) -> list[Download]:
    """What lies in ``folder/<run>/`` to take away."""
    files = [folder / run / name for name in NAMES]
    return [
        Download(file.name, f"{quote(run)}/{file.name}", size(file.stat().st_size))
        for file in files
        if file.is_file()
    ]


def _videos(run_dir: Path, scores: Scores, split: str) -> pd.DataFrame:
    """A row per listed video: `video, file, group, split, true, called, correct`."""
    lost = len(scores.missing_id)
    ids = np.concatenate([scores.video_id, scores.missing_id])
    truths = scores.truths[hits.all_labels(scores)]
    if scores.several:
        given = multi_label.given(scores, split)
        called = np.array([label_sets.joined(scores.categories[row].tolist()) for row in given])
        correct = (given == scores.targets).all(axis=1)
    else:
        best = hits.called(scores)
        called = np.concatenate([scores.categories[best], np.full(lost, "")])
        correct = hits.right_videos(scores)
    correct[len(correct) - lost :] = False
    called = called.astype(object)
    called[len(called) - lost :] = ""
    files = _files(run_dir, split)
    return pd.DataFrame(
        {
            "video": ids,
            "file": [files.get(key, "") for key in zip(truths, ids, strict=True)],
            "group": hits.all_groups(scores),
            "split": split,
            "true": truths,
            "called": called,
            "correct": correct,
        }
    ).astype({"video": object, "group": object, "true": object})


def _files(run_dir: Path, split: str) -> dict[tuple[str, str], str]:
    """{(category, video): its file's name}; empty where the run's clip store is gone."""
    try:
        table = Audit.load(scored_store(run_dir).root).videos
    except AnotherStore:
        return {}
    own = table[table["split"] == split]
    rows = zip(own["category"], own["video_id"], own["file"], strict=True)
    return {(category, video): names.printable(Path(file).name) for category, video, file in rows}


def _numbers(scores: Scores, split: str) -> dict[str, np.ndarray]:
    """What a table has of each category behind the columns of `_videos`: {prefix: of read videos}.

    The probability of each, and of several labels per video whether it is given.
    """
    found = {"p": scores.video_scores}
    if scores.several:
        found["given"] = multi_label.given(scores, split)[: len(scores.video_id)]
    return found


def _write_csv(file: Path, about: pd.DataFrame, scores: Scores, split: str) -> None:
    numbers = _numbers(scores, split)
    head = [*about, *(f"{kind}_{name}" for kind in numbers for name in scores.categories)]
    # every probability is one of these texts: looking one up is faster than writing a number
    told = np.array([_decimal(value) for value in range(10**_DIGITS + 1)], object)
    with (
        appearing(file, durable=False) as part,
        open(part, "w", encoding="utf-8", newline="") as open_file,
    ):
        writer = csv.writer(open_file, lineterminator="\n")
        writer.writerow(map(_harmless, head))
        for first, rows in _parts(about, 1024):
            texts = [list(map(_harmless, row)) for row in _texts(rows)]
            columns = []
            for kind, values in numbers.items():
                own = values[first : first + len(rows)]
                whole = np.rint(own * (10**_DIGITS if kind == "p" else 1)).astype(np.int32)
                columns.append(told[whole] if kind == "p" else whole)
            filled = np.concatenate(columns, axis=1).tolist()
            filled += [[""] * len(head[len(about.columns) :])] * (len(texts) - len(filled))
            writer.writerows(text + own for text, own in zip(texts, filled, strict=True))


def _parts(about: pd.DataFrame, size: int) -> Iterator[tuple[int, pd.DataFrame]]:
    for first in range(0, len(about), size):
        yield first, about.iloc[first : first + size]


def _texts(rows: pd.DataFrame) -> Iterator[list[str]]:
    for row in rows.itertuples(index=False):
        yield [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]


def _decimal(value: int) -> str:
    """``0.5`` of 50000, in the fewest digits."""
    return f"{value / 10**_DIGITS:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _harmless(text: str) -> str:
    return _FORMULA.sub(r"'\1", names.printable(text))


def _csv_text(table: pd.DataFrame) -> str:
    """A table with its fractions in five digits."""
    safe = table.assign(category=table["category"].astype(str).map(_harmless))
    return safe.to_csv(index=False, float_format=f"%.{_DIGITS}g", lineterminator="\n")


def _write_parquet(file: Path, about: pd.DataFrame, scores: Scores, split: str) -> None:
    """As the CSV file, with the probabilities as they were scored."""
    import pyarrow
    import pyarrow.parquet

    numbers = _numbers(scores, split)
    kinds = {"p": pyarrow.float32(), "given": pyarrow.bool_()}
    text = pyarrow.string()
    fields = [(name, pyarrow.bool_() if name == "correct" else text) for name in about]
    fields += [(f"{kind}_{name}", kinds[kind]) for kind in numbers for name in scores.categories]
    schema = pyarrow.schema(fields)
    with (
        appearing(file, durable=False) as part,
        pyarrow.parquet.ParquetWriter(
            part,
            schema,
            compression="zstd",
            use_dictionary=list(about),
            use_byte_stream_split=[f"p_{name}" for name in scores.categories],
        ) as writer,
    ):
        for first, rows in _parts(about, 8192):
            columns: list[Any] = [pyarrow.array(rows[name], type=schema.field(name).type)
                                  for name in about]  # fmt: skip
            for kind, values in numbers.items():
                own = values[first : first + len(rows)]
                nulls = pyarrow.nulls(len(rows) - len(own), kinds[kind])
                for column in np.ascontiguousarray(own.T):
                    there = pyarrow.array(column, type=kinds[kind])
                    columns.append(pyarrow.concat_arrays([there, nulls]))
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
