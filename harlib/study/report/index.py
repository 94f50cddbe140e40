"""A study's runs -> its index page and the card of its best model."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from harlib import MissingFile
from harlib.evaluation import metrics as metrics_of
from harlib.evaluation import ranking
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.params.notebooks import NOTEBOOKS
from harlib.study.report import (
    contents,
    downloads,
    index_answer,
    model_card,
    private,
    published_results,
    videos_page,
)
from harlib.study.report.links import StudyLinks
from harlib.study.report.run_page import (
    TEMPLATE,
    protocol,
    refuse_runs,
    reports_folder,
    style,
    write_page,
    write_report,
)
from harlib.study.runs import best as best_run
from harlib.study.runs import fingerprint
from harlib.study.steps import side_by_side
from harlib.study.wording import tables


def write_index(
    runs_dir: Path, folder: Path | None = None, *, videos_most: int | None = None
) -> Path:
    """Writes ``index.html`` from ``runs/<study>/*/``; complete runs alone are ranked.

    With a scored run, the best model's card goes beside it, as ``MODEL_CARD.md``.

    folder: where to; ``reports/<study>`` beside ``runs`` by default.
    videos_most: bytes of ``videos.html`` with the previews in it; see `videos_page.write`.

    Raises:
        HarlibError: `folder` holds runs.
    """
    runs_dir = Path(runs_dir)
    folder = folder or reports_folder(runs_dir)
    refuse_runs(folder)
    study = runs_dir.name
    run_dirs = [folder for folder in sorted(runs_dir.glob("[0-9][0-9]_*")) if folder.is_dir()]
    # where some have several labels, runs of one label per video are of other data: not ranked here
    scored = best_run.measured(runs_dir)
    several = [
        one for one in scored if ranking.is_of_several(read_json(RunFolder(one).metrics, "video"))
    ]
    unranked = {
        one for one in run_dirs if RunFolder(one).metrics.is_file() and fingerprint.is_ended(one)
    } - set(scored)
    data = [folder for folder in run_dirs if RunFolder(folder).data.is_file()]
    table = metrics_of.table(scored) if scored else pd.DataFrame()
    lines = side_by_side.lines(table, {one.name: one for one in scored}) if scored else table
    best = model_card.facts(runs_dir / best_run.run(scored)) if scored else None
    root = runs_dir.resolve().parents[1]
    if best:
        write_page(
            folder / "MODEL_CARD.md", private.hide(model_card.markdown(best), root, run_dirs)
        )
    pages = _pages(run_dirs)
    for run_dir in (one for one in scored if not _has_page(one)):
        downloads.of_run(run_dir, folder, root)  # those with a page got them with it
    files = [(run_dir.name, downloads.there(folder, run_dir.name)) for run_dir in scored]
    pooled = index_answer.pooled(scored)
    ranked = best_run.ranked(scored) if scored else pd.DataFrame()
    # what compares the runs comes first, where it ended well
    comparing = [
        one for one in run_dirs
        if one.name.startswith("05") and one.name in pages and fingerprint.is_ended(one)
    ]  # fmt: skip
    videos = videos_page.write(runs_dir, folder, most=videos_most)
    page = _template("study.html.j2").render(
        videos=videos.name if videos else "",
        study=study,
        style=style(),
        answer=index_answer.answer(ranked, lines, pooled),
        figure=index_answer.figure(lines, pooled, pages),
        ways=[_other_row(folder, False) for folder in run_dirs if folder in comparing],
        settings=_settings(scored),
        pooled=pooled,
        card=best,
        bibtex=model_card.bibtex(scored) if scored else "",
        hardware=_hardware(scored),
        protocols=_protocols(scored),
        columns=[(name, kind) for name, _, kind in _columns(lines)],
        ranks=[name for name, key, _ in _COLUMNS if key == ranking.measure(table)][0],
        several=bool(several),
        cross_fitted=all(
            read_json(RunFolder(one).metrics)["video"]["cross_fitted"] for one in several
        ),
        pages=pages,
        downloads=[(run, own) for run, own in files if own],
        meanings=downloads.columns(
            [file.name for _, own in files for file in own], several=bool(several)
        ),
        parquet=any(file.name.endswith(".parquet") for _, own in files for file in own),
        rows=_rows(lines, pages, _leads(ranked)),
        data=[_data_row(folder) for folder in data],
        others=[
            _other_row(folder, folder in unranked)
            for folder in run_dirs
            if folder not in scored + data + comparing
        ],
        quoted=published_results.tables(study),
    )
    page = contents.anchored(StudyLinks.of(runs_dir).text(page))
    return write_page(folder / "index.html", private.hide(page, root, run_dirs))


_CARD = re.compile(r'<h2 id="card">.*?</section>\n', re.S)


def with_card(page: str, card: dict[str, Any], runs_dir: Path) -> str:
    """A study's index with another card of its best model than `write_index` gave it."""
    pages = _pages(folder for folder in Path(runs_dir).glob("[0-9][0-9]_*") if folder.is_dir())
    section = _template("card.html.j2").render(card=card, pages=pages)
    section = contents.anchored(StudyLinks.of(Path(runs_dir)).text(section))
    return _CARD.sub(lambda _: section, page, count=1)


def write_study(
    runs_dir: Path, folder: Path | None = None, *, videos_most: int | None = None
) -> Path:
    """Writes all pages of a study again from ``runs/<study>``; returns its index.

    The arguments are those of `write_index`.

    Raises:
        FileNotFoundError: no run there has left a notebook.
    """
    notebooks = sorted(Path(runs_dir).glob("[0-9][0-9]_*/*.ipynb"))
    if not notebooks:
        again = f"har study {Path(runs_dir).name}"
        raise MissingFile(f"{runs_dir} holds no run with a notebook: {again}")
    for notebook in notebooks:
        write_report(notebook.parent, folder)
    return write_index(runs_dir, folder, videos_most=videos_most)


# name of the column, key of metrics.table, kind; the interval stands behind what ranks the runs
_COLUMNS = (
    ("run", "run", "text"),
    ("network", "network", "text"),
    ("video mAP", "mean_ap", "number"),
    ("video top-1", "video_top1", "number"),
    ("video top-5", "video_top5", "number"),
    ("video mean class", "mean_class", "number"),
    ("clip top-1", "clip_top1", "number"),
    ("clip top-5", "clip_top5", "number"),
    ("clip mean class", "clip_mean_class", "number"),
    ("clip mAP", "clip_mean_ap", "number"),
    ("mAP by chance", "chance", "number"),
    ("macro F1", "macro_f1", "number"),
    ("micro F1", "micro_f1", "number"),
    ("minutes", "minutes", "number"),
    ("parameters", "parameters", "number"),
    ("GMACs per clip", "gmacs", "number"),
    ("views", "views", "number"),
)


def _columns(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The columns that say something: top-5 of up to five categories does not."""
    told = table.columns[table.notna().any()]
    there = [column for column in _COLUMNS if column[1] in table]
    return [column for column in there if "top5" not in column[1] or column[1] in told]


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), autoescape=True, keep_trailing_newline=True
    )
    environment.filters["unbroken"] = tables.unbroken
    return environment.get_template(name)


def _pages(run_dirs: Iterable[Path]) -> set[str]:
    """The runs that have a page."""
    return {folder.name for folder in run_dirs if _has_page(folder)}


def _hardware(scored: list[Path]) -> str:
    """What the runs were computed on, each machine once."""
    files = [RunFolder(one).environment for one in scored]
    told = [model_card.hardware(read_json(file)) for file in files if file.is_file()]
    return " or ".join(dict.fromkeys(told))


def _settings(scored: list[Path]) -> str:
    """The settings that differ, as HTML; empty without two runs or a difference."""
    own = {one.name: one for one in scored if RunFolder(one).params.is_file()}
    told = side_by_side.settings(own) if len(own) > 1 else None
    return told._repr_html_() if isinstance(told, tables.Table) else ""


def _leads(ranked: pd.DataFrame) -> str:
    """The run that ranks first, where it has a row: folds pooled have a sentence instead."""
    return "" if not len(ranked) or ranked["in_folds"].iloc[0] else str(ranked["run"].iloc[0])


def _rows(table: pd.DataFrame, pages: set[str], best: str) -> list[dict[str, Any]]:
    if not len(table):
        return []
    rows = []
    for _, row in ranking.ranked(table).iterrows():
        cells: list[dict[str, Any]] = []
        for _, key, kind in _columns(table):
            text = tables.cell(key, row[key])
            if key == ranking.measure(table):
                text += f" ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
            value = "" if pd.isna(row[key]) else row[key]
            cells.append({"text": text, "value": value, "kind": kind, "link": "", "seeds": []})
            if key == "run":
                cells[-1] |= index_answer.links(row, pages)
        rows.append({"cells": cells, "best": row["run"] == best})
    return rows


def _protocols(scored: list[Path]) -> list[str]:
    """How the runs were scored, one line for those that share a protocol."""
    shared: dict[str, list[str]] = {}
    for folder in scored:
        shared.setdefault(protocol(read_json(RunFolder(folder).metrics)), []).append(folder.name)
    return [f"{', '.join(names)}: {text}." for text, names in shared.items()]


def _data_row(run_dir: Path) -> dict[str, str]:
    return {
        "name": run_dir.name,
        "link": f"{run_dir.name}.html",
        "text": read_json(RunFolder(run_dir).data)["summary"],
    }


def _other_row(run_dir: Path, unranked: bool) -> dict[str, str]:
    """unranked: it is scored, and of one label per video where the others have several."""
    state = RunFolder(run_dir).read_state()
    failed = state.get("status") == "failed"
    notebook = NOTEBOOKS.get(run_dir.name.split(".")[0])
    text = notebook.purpose if notebook else ""
    if unranked:
        text = "of one label per video, so not among the models above"
    if not failed and state.get("status") != "complete":
        text = "not complete, so not among the models above"
    return {
        "name": run_dir.name,
        "link": f"{run_dir.name}.html" if _has_page(run_dir) else "",
        "text": f"failed: {state['problem']}" if failed else text,
        "kind": "failed" if failed else "",
    }


def _has_page(run_dir: Path) -> bool:
    """Whether a notebook made the run: `har train` leaves none, so no page either."""
    return RunFolder(run_dir).notebook is not None
