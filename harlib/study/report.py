"""A run's files -> one self-contained HTML page; a study's runs -> its index."""

import json
import re
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import pandas as pd
import yaml
from nbconvert import HTMLExporter

from harlib.evaluation import metrics as metrics_of
from harlib.study import identity, tell
from harlib.study.files import CHECKOUT

TEMPLATE = CHECKOUT / "reports" / "template"
_WEB_ADDRESSES = ("require_js_url", "mathjax_url", "jquery_url", "jupyter_widgets_base_url",
                  "widget_renderer_url", "mermaid_js_url", "mermaid_layout_elk_js_url")  # fmt: skip

_CHATTER = re.compile(r"^(WARNING: All log messages before absl::|[IWE]\d{4} [\d:.]+ ).*\n?", re.M)


def write_report(run_dir: Path) -> Path:
    """Writes ``reports/<study>/<run>.html`` from the files of ``runs/<study>/<run>/``.

    The page loads nothing from elsewhere, and the same files give the same bytes.
    """
    run_dir = Path(run_dir)
    notebook = nbformat.read(run_dir / f"{run_dir.name}.ipynb", as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # papermill draws a random one for the cell it injects
    title = _take_title(notebook) or run_dir.name
    _drop_chatter(notebook)
    exporter = HTMLExporter(
        template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)]
    )
    exporter.exclude_anchor_links = True
    for name in _WEB_ADDRESSES:
        if exporter.has_trait(name):
            setattr(exporter, name, "")
    context = {"title": title, "style": _style()} | _run_facts(run_dir)
    page, _ = exporter.from_notebook_node(
        notebook, {"metadata": {"name": run_dir.name}, "harlib": context}
    )
    return _write(_page(run_dir), page)


def write_index(runs_dir: Path) -> Path:
    """Writes ``reports/<study>/index.html`` from ``runs/<study>/*/``."""
    runs_dir = Path(runs_dir)
    study = runs_dir.name
    run_dirs = [folder for folder in sorted(runs_dir.glob("[0-9][0-9]_*")) if folder.is_dir()]
    scored = [folder for folder in run_dirs if (folder / "metrics.json").is_file()]
    data = [folder for folder in run_dirs if (folder / "data.json").is_file()]
    table = metrics_of.table(scored) if scored else pd.DataFrame()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE), autoescape=True, keep_trailing_newline=True
    )
    page = environment.get_template("study.html.j2").render(
        study=study,
        style=_style(),
        answer=_study_answer(table),
        protocols=_protocols(scored),
        columns=[(name, kind) for name, _, kind in _COLUMNS],
        rows=_rows(table, study),
        data=[_data_row(folder) for folder in data],
        others=[_other_row(folder) for folder in run_dirs if folder not in scored + data],
        quoted=_quoted(study),
    )
    return _write(runs_dir.parents[1] / "reports" / study / "index.html", page)


# name of the column, key of metrics.table, kind; the interval stands behind the video top-1
_COLUMNS = (
    ("run", "run", "text"),
    ("model", "model", "text"),
    ("video top-1", "video_top1", "number"),
    ("video top-5", "video_top5", "number"),
    ("video mean class", "mean_class", "number"),
    ("clip top-1", "clip_top1", "number"),
    ("clip top-5", "clip_top5", "number"),
    ("clip mean class", "clip_mean_class", "number"),
    ("minutes", "minutes", "number"),
    ("parameters", "parameters", "number"),
    ("GMACs a clip", "gmacs", "number"),
)


def _rows(table: pd.DataFrame, study: str) -> list[dict[str, Any]]:
    if not len(table):
        return []
    ranked = table.sort_values("video_top1", ascending=False, kind="stable")
    rows = []
    for place, (_, row) in enumerate(ranked.iterrows()):
        cells = []
        for _, key, kind in _COLUMNS:
            text = tell.cell(key, row[key]) if key != "minutes" else f"{row[key]:.1f}"
            if key == "video_top1":
                text += f" ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
            link = f"{row['run']}.html" if key == "run" else ""
            cells.append({"text": text, "value": row[key], "kind": kind, "link": link})
        rows.append({"cells": cells, "best": place == 0})
    return rows


def _protocols(scored: list[Path]) -> list[str]:
    """How the runs were scored, one line for those that share a protocol."""
    shared: dict[str, list[str]] = {}
    for folder in scored:
        shared.setdefault(_protocol(_json(folder / "metrics.json")), []).append(folder.name)
    return [f"{', '.join(names)}: {text}." for text, names in shared.items()]


def _protocol(metrics: dict[str, Any]) -> str:
    how = metrics["protocol"]
    return (
        f"{tell.count(metrics['video']['n'], how['split'] + ' video')}, "
        f"{tell.count(how['clips'], 'clip')} × {tell.count(how['crops'], 'crop')}, "
        f"{tell.count(how['frames'], 'frame')} × stride {how['stride']}, "
        f"{_pixels(how['size'])} pixels"
    )


def _pixels(size: int | list[int]) -> str:
    return " × ".join(map(str, size)) if isinstance(size, (list, tuple)) else f"{size} × {size}"


def _study_answer(table: pd.DataFrame) -> str:
    if not len(table):
        return ""
    best = table.sort_values("video_top1", ascending=False, kind="stable").iloc[0]
    return (
        f"Best of {len(table)} scored run{'s' * (len(table) > 1)}: {best['run']} names the action "
        f"in {tell.percent(best['video_top1'])} of {int(best['videos']):,} videos "
        f"(95 % interval {100 * best['low']:.1f} to {100 * best['high']:.1f} %)."
    )


def _data_row(run_dir: Path) -> dict[str, str]:
    return {
        "name": run_dir.name,
        "link": f"{run_dir.name}.html",
        "text": _json(run_dir / "data.json")["summary"],
    }


def _other_row(run_dir: Path) -> dict[str, str]:
    state = identity.read_state(run_dir)
    failed = state.get("status") == "failed"
    text = "compares the runs, in figures" if run_dir.name.startswith("05") else ""
    has_page = (run_dir / f"{run_dir.name}.ipynb").is_file()
    return {
        "name": run_dir.name,
        "link": f"{run_dir.name}.html" if has_page else "",
        "text": f"failed: {state['problem']}" if failed else text,
        "kind": "failed" if failed else "",
    }


def _quoted(study: str) -> dict[str, Any] | None:
    table = pd.read_csv(Path(__file__).with_name("published.csv"))
    rows = table[table["study"] == study]
    if not len(rows):
        return None
    return {
        "caption": "The original study's own figures; its choice of categories is not published, "
        "so they stand beside the measured ones, not among them."
        if study.startswith("kinetics400")
        else "The original study's own figures for the 600 categories.",
        "rows": [(row.model, tell.percent(row.top1)) for row in rows.itertuples()],
    }


def _run_facts(run_dir: Path) -> dict[str, Any]:
    """What the head of a run's page says, all from its files."""
    state = identity.read_state(run_dir)
    params = yaml.safe_load((run_dir / "params.yaml").read_text())
    where = _json(run_dir / "environment.json")
    scored = (run_dir / "metrics.json").is_file()
    metrics = _json(run_dir / "metrics.json") if scored else {}
    card = []
    if scored:
        card += [
            ("video top-1", tell.percent(metrics["video"]["top1"]), True),
            ("clip top-1", tell.percent(metrics["clip"]["top1"]), True),
            ("model", metrics["model"]["name"], False),
            ("parameters", f"{metrics['model']['parameters']:,}", False),
            ("GMACs a clip", f"{metrics['model']['gmacs']:.3g}", False),
            ("protocol", _protocol(metrics), False),
            ("recipe", f"{params['recipe']}, {params['epochs']} epochs", False),
        ]
    if "minutes" in state:
        card.append(("minutes", f"{state['minutes']:.1f}", False))
    if "store_hash" in state:
        card.append(("clip store", state["store_hash"], False))
    hardware = ", ".join(where["accelerators"]) or f"{where['cores']} cores, no accelerator"
    card += [
        ("hardware", hardware, False),
        ("code", where["commit"] or "no git checkout", False),
        ("harlib, Keras", f"{where['versions']['harlib']}, {where['versions']['keras']}", False),
    ]
    rows = [
        (name, value) for name, value in where.items() if name not in ("versions", "accelerators")
    ]
    return {
        "study": run_dir.parent.name,
        "run": run_dir.name,
        "failed": state.get("problem", "") if state.get("status") == "failed" else "",
        "answer": tell.answer(metrics) if scored else "",
        "card": card,
        "parameters": [(name, _value(value)) for name, value in params.items()],
        "environment": [*where["versions"].items(), *rows],
    }


def _value(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _take_title(notebook: nbformat.NotebookNode) -> str:
    """Removes the first heading from the notebook, as the page's head shows it."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.match(r"# (.+)\n*", cell.source)):
            cell.source = cell.source[found.end() :]
            return found[1].strip()
    return ""


def _drop_chatter(notebook: nbformat.NotebookNode) -> None:
    """Joins what a cell printed in pieces, without what TensorFlow's C++ side logs at its start."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                output.text = _CHATTER.sub("", output.text)
        if "outputs" in cell:
            cell.outputs = _joined([o for o in cell.outputs if o.get("text", None) != ""])


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    joined = []
    for output in outputs:
        same = joined and output.output_type == "stream" == joined[-1].output_type
        if same and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _page(run_dir: Path) -> Path:
    return run_dir.parents[2] / "reports" / run_dir.parent.name / f"{run_dir.name}.html"


def _style() -> str:
    return (TEMPLATE / "style.css").read_text()


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
