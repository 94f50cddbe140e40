"""A run's files -> one self-contained HTML page."""

import base64
import html
import io
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pandas as pd
from nbconvert import HTMLExporter
from PIL import Image

from harlib import HarlibError, MissingFile, shipped
from harlib.data.catalog import names, own_videos
from harlib.evaluation import Scores, naming, ranking
from harlib.evaluation.category_table import category_table
from harlib.files import read_json
from harlib.inference import segment_pages
from harlib.run_folder import RunFolder
from harlib.study.report import contents, downloads, private
from harlib.study.report.links import StudyLinks
from harlib.study.runs import fingerprint, scored_videos
from harlib.study.wording import sentences, tables
from harlib.text import count, percent

TEMPLATE = shipped.FOLDER / "reports" / "template"
_WEB_ADDRESSES = ("require_js_url", "mathjax_url", "jquery_url", "jupyter_widgets_base_url",
                  "widget_renderer_url", "mermaid_js_url", "mermaid_layout_elk_js_url")  # fmt: skip

_WIDGET = "application/vnd.jupyter.widget-view+json"
_STAND_INS = ("image/png", "image/jpeg", "text/html")  # for a widget, where there is none
_LARGE = 60_000  # bytes above which a photograph is worth compressing
_LINE = 60  # characters of a cell's first line that its fold shows
_QUALITY = 85  # of its WebP: what is lost cannot be seen beside the PNG
# A link of a notebook to another one, which the pages of a study follow to that one's page.
_NOTEBOOK_LINK = re.compile(r"\[([^\]]+)\]\((\d\d_\w+)\.ipynb(#[^)\s]*)?\)")
# A run's name in the first column of a table of runs, and its network behind it.
_RUNS = re.compile(r"<table[^>]*>\s*<thead><tr><th[^>]*>run</th>.*?</table>", re.S)
_RUN = re.compile(r'(<tr><td class="text)(">(?:<a [^>]*>)?[^<(]*(?:</a>)?) (\([^<]*)</td>')
_CHATTER = re.compile(r"^(WARNING: All log messages before absl::|[IWE]\d{4} [\d:.]+ ).*\n?", re.M)


def write_report(run_dir: Path, folder: Path | None = None) -> Path:
    """Writes ``<run>.html`` from the files of ``runs/<study>/<run>/``.

    The page loads nothing from elsewhere, and the same files give the same bytes. Photographs are
    in it as lossy WebP, an eighth of the notebook's PNG; line art stays as it is.

    folder: where to; by default ``reports/<study>`` beside ``runs``, and the run's own folder
        where it lies elsewhere, put aside or moved.

    Raises:
        FileNotFoundError: the run has left no notebook.
        HarlibError: `folder` holds runs.
    """
    run_dir = Path(run_dir).resolve()
    file = RunFolder(run_dir).notebook
    if file is None:
        raise MissingFile(f"{run_dir} holds no notebook, so it has no page")
    notebook = nbformat.read(file, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # papermill draws a random one for the cell it injects
    title = _take_title(notebook) or run_dir.name
    said = _answer(notebook)
    _link_pages(notebook, run_dir.parent)
    _drop_chatter(notebook, root=_project_of(run_dir))
    _drop_widgets(notebook)
    if folder is None:
        usual = run_dir.parents[1].name == "runs"
        folder = reports_folder(run_dir.parent) if usual else run_dir
    refuse_runs(folder)
    # a page in the run's own folder has no others beside it
    links = (
        StudyLinks() if folder.resolve() == run_dir else StudyLinks.of(run_dir.parent, run_dir.name)
    )
    drawn = _link_outputs(notebook, links)
    _compress_photographs(notebook)
    exporter = HTMLExporter(
        template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)]
    )
    exporter.register_filter("first_line", _first_line)
    for name in _WEB_ADDRESSES:
        if exporter.has_trait(name):
            setattr(exporter, name, "")
    context = {"title": title, "style": style()} | _run_facts(run_dir, said)
    context |= {"links": links, "figures": drawn}
    context["answer"] = links.text(html.escape(context["answer"]))
    context["segments"] = _segments(run_dir, folder)
    context["categories"] = links.output(_categories(run_dir))
    context["files"] = downloads.of_run(run_dir, folder, _project_of(run_dir))
    if files := context["files"]:
        several = ranking.is_of_several(read_json(RunFolder(run_dir).metrics, "video"))
        context["columns"] = downloads.columns([file.name for file in files], several=several)
    page, _ = exporter.from_notebook_node(
        notebook, {"metadata": {"name": run_dir.name}, "harlib": context}
    )
    page = contents.added(page)
    page = private.hide(page, _project_of(run_dir.resolve()), [run_dir])
    return write_page(folder / f"{run_dir.name}.html", page)


def _segments(run_dir: Path, folder: Path) -> list[dict[str, str]]:
    """The pages of `har segments` in the run's folder, as seen from `folder`."""
    found = []
    for results in sorted(RunFolder(run_dir).segments.glob(f"*/{segment_pages.RESULTS}")):
        page = results.with_name(segment_pages.PAGE)
        if not page.is_file():
            continue
        told = read_json(results, "overall", "videos")
        half = next(row for row in told["overall"] if row["overlap"] == segment_pages.MARKED)
        link = Path(os.path.relpath(page, folder.resolve())).as_posix()
        found.append({
            "link": quote(os.fsencode(link)),
            "text": f"Segments found in {count(told['videos'], 'untrimmed video')} "
            f"({names.printable(page.parent.name)}): F1 {percent(half['f1'])} at overlap "
            f"{half['overlap']:g}",
        })  # fmt: skip
    return found


def _categories(run_dir: Path) -> str:
    """The table of each category of a scored run, as HTML; empty of any other."""
    run = RunFolder(run_dir)
    if not (run.metrics.is_file() and run.scores.is_file()):
        return ""
    split = str(read_json(run.metrics, "protocol")["protocol"]["split"])
    table = category_table(scored_videos.scores_of(run_dir), split)
    return tables.by_category(table, f"Each category of {run_dir.name}")._repr_html_()


def refuse_runs(folder: Path) -> None:
    """Raises HarlibError where pages would go among runs, whose files they would replace."""
    if run := min(Path(folder).glob("[0-9][0-9]_*/run.json"), default=None):
        raise HarlibError(
            f"{folder} holds runs ({run.parent.name}), whose metrics.json and history.csv would be "
            "replaced: name another folder for the pages"
        )


def study_of(run_dir: Path) -> str:
    """The study of a run: its folder's place tells, else its parameters."""
    if run_dir.resolve().parents[1].name == "runs":
        return run_dir.resolve().parent.name
    return RunFolder(run_dir).read_params()["study"]


def _project_of(run_dir: Path) -> Path:
    """The folder that holds runs/; of a run that was moved out of one, its own."""
    return next((path.parent for path in run_dir.parents if path.name == "runs"), run_dir)


def protocol(metrics: dict[str, Any]) -> str:
    """How a run was scored, in one line: videos, views, frames, pixels."""
    how = metrics["protocol"]
    # sliding windows take as many clips as a video holds
    clips = "windows" if isinstance(how["clips"], str) else count(how["clips"], "clip")
    return (
        f"{count(metrics['video']['n'], how['split'] + ' video')}, "
        f"{clips} × {count(how['crops'], 'crop')}, "
        f"{naming.clip(how)}, "
        f"{_pixels(how['size'])} pixels"
        + (", weights of the best epoch" if how.get("checkpoint") == "best" else "")
    )


def _pixels(size: int | list[int]) -> str:
    return " × ".join(map(str, size)) if isinstance(size, (list, tuple)) else f"{size} × {size}"


def _run_facts(run_dir: Path, said: str) -> dict[str, Any]:
    """What the head of a run's page says, all from its files; `said`: by its notebook."""
    state = RunFolder(run_dir).read_state()
    params = RunFolder(run_dir).read_params()
    where = read_json(RunFolder(run_dir).environment)
    scored = RunFolder(run_dir).metrics.is_file()
    metrics = naming.read(run_dir) if scored else {}
    card = []
    if RunFolder(run_dir).data.is_file():
        said = read_json(RunFolder(run_dir).data)["summary"]
    if scored:
        parts = [
            sentences.answer(metrics),
            _groups_warning(run_dir),
            state.get("look_alikes", ""),
            _stopped(run_dir, params),
        ]
        said = " ".join(str(part) for part in parts if part)
        card += [
            *_results(metrics),
            ("network", naming.network(metrics), False),
            ("parameters", _parameters(metrics["model"]), False),
            ("GMACs (billion multiply-adds) per clip", f"{metrics['model']['gmacs']:.3g}", False),
            ("protocol", protocol(metrics), False),
            ("recipe", f"{params['recipe']}, {params['epochs']} epochs", False),
        ]
    if "minutes" in state:
        # the index has those until the scores were there
        name = "minutes, with the figures below" if scored else "minutes"
        card.append((name, f"{state['minutes']:.1f}", False))
    if weights := state.get("weights"):
        card.append(("starting weights", sentences.starting_weights(weights), False))
    if "store_hash" in state:
        card.append(("clip store", state["store_hash"], False))
    cpu = f"{where['cpu']}, {where['cores']} cores"
    hardware = ", ".join(where["accelerators"]) or f"{cpu}, no accelerator"
    card.append(("hardware", hardware, False))
    if "kernels" in where:  # runs of older versions do not tell
        card.append(("CPU kernels", _kernels(where), False))
    card += [
        (
            "code",
            ", ".join(
                filter(
                    None,
                    [
                        where["commit"] or "no git checkout",
                        fingerprint.remark(run_dir, than="that of this page"),
                    ],
                )
            ),
            False,
        ),
        ("harlib, Keras", f"{where['versions']['harlib']}, {where['versions']['keras']}", False),
    ]
    rows = [
        (name.removesuffix("_bytes"), _told(name, value))
        for name, value in where.items()
        if name not in ("versions", "accelerators")
    ]
    return {
        "study": study_of(run_dir),
        "run": run_dir.name,
        "failed": state.get("problem", "") if state.get("status") == "failed" else "",
        "answer": tables.unbroken(said),
        "card": card,
        "parameters": [(name, _value(value)) for name, value in params.items()],
        "environment": [*where["versions"].items(), *rows],
    }


def _results(metrics: dict[str, Any]) -> list[tuple[str, str, bool]]:
    video, clip = metrics["video"], metrics["clip"]
    if not ranking.is_of_several(metrics):
        return [
            ("video top-1", percent(video["top1"]), True),
            ("clip top-1", percent(clip["top1"]), True),
        ]
    found = [("video mAP", percent(video["mean_average_precision"]), True)]
    if clip["mean_average_precision"] is not None:
        found.append(("clip mAP", percent(clip["mean_average_precision"]), True))
    return [*found, ("macro F1", percent(video["macro_f1"]), True)]


def _kernels(where: dict[str, Any]) -> str:
    """Whose kernels compute on the CPU, and its instructions: ``oneDNN (avx, avx2)``."""
    offered = ", ".join(where["instructions"])
    return where["kernels"] + (f" ({offered})" if offered else "")


def _groups_warning(run_dir: Path) -> str:
    """What the scored videos' groups say of the accuracy; empty where they are known."""
    if not RunFolder(run_dir).scores.is_file():
        return ""
    scores = Scores.load(run_dir)
    videos = pd.DataFrame({"video_id": scores.video_id, "group": scores.group})
    return own_videos.groups_warning(videos)


def _stopped(run_dir: Path, params: dict[str, Any]) -> str:
    """How a training with patience ended; empty for every other run."""
    file = RunFolder(run_dir).history
    if not (params.get("patience") and file.is_file()):
        return ""
    return sentences.stopped(pd.read_csv(file), params)


def _parameters(model: dict[str, Any]) -> str:
    return sentences.parameters(model["parameters"], model.get("trainable")).replace(
        " parameters", ""
    )


def _value(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told(name: str, value: Any) -> Any:
    """What is known of a machine, as a page shows it."""
    return ", ".join(value) if isinstance(value, list) else tables.cell(name, value)


def _take_title(notebook: nbformat.NotebookNode) -> str:
    """Removes the first heading from the notebook, as the page's head shows it."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.match(r"# (.+)\n*", cell.source)):
            cell.source = cell.source[found.end() :]
            return found[1].strip()
    return ""


def _link_pages(notebook: nbformat.NotebookNode, study: Path) -> None:
    """Links to other notebooks lead to their pages.

    Where the study has no such run, they are text.
    """

    def page(link: re.Match) -> str:
        text, name, place = link.groups()
        has_page = RunFolder(study / name).notebook is not None
        return f"[{text}]({name}.html{place or ''})" if has_page else text

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _NOTEBOOK_LINK.sub(page, cell.source)


def _answer(notebook: nbformat.NotebookNode) -> str:
    """What the cell with the tag `answer` shows: the result in a sentence; empty without one."""
    for cell in notebook.cells:
        if "answer" in cell.metadata.get("tags", []):
            for output in cell.get("outputs", []):
                if text := output.get("data", {}).get("text/plain"):
                    return text
    return ""


def _drop_chatter(notebook: nbformat.NotebookNode, root: Path) -> None:
    """Joins what a cell printed in pieces, less what is of no use to a reader.

    That is what TensorFlow's C++ side logs at its start, and where on this machine the project
    lies.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = output.text.replace(f"{root}/", "")
                if output.name == "stderr":
                    output.text = _CHATTER.sub("", output.text)
        if "outputs" in cell:
            cell.outputs = _joined([o for o in cell.outputs if o.get("text", None) != ""])


def _drop_widgets(notebook: nbformat.NotebookNode) -> None:
    """Leaves of a widget the picture or text that stands for it; without one, nothing."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if _WIDGET in output.get("data", {}):
                there = [kind for kind in _STAND_INS if kind in output.data]
                output.data = {kind: output.data[kind] for kind in there}
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if o.get("data", None) != {}]


def _link_outputs(notebook: nbformat.NotebookNode, links: StudyLinks) -> list[dict[str, Any]]:
    """Links in what cells showed; what the template needs of each figure, by its number."""
    drawn: list[dict[str, Any]] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = _parted(links.output(data["text/html"]))
            if "image/png" in data:
                output.metadata.setdefault("image/png", {})["harlib_figure"] = len(drawn)
                drawn.append(links.figure(output))
    return drawn


def _first_line(code: str) -> str:
    """What tells a cell's fold from another's: its first line, or the text of its comment."""
    line = next((line for line in map(str.strip, code.splitlines()) if line.strip("# ")), "")
    line = line.lstrip("# ")
    return line if len(line) <= _LINE else f"{line[: _LINE - 1].rstrip()}…"


def _parted(html: str) -> str:
    """The HTML of an output with the networks of its tables' runs below their names."""
    return _RUNS.sub(
        lambda table: _RUN.sub(r'\1 run\2 <span class="network">\3</span></td>', table[0]), html
    )


def _compress_photographs(notebook: nbformat.NotebookNode) -> None:
    """Makes WebP of the large PNGs in full colour; the template reads their kind."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if len(data.get("image/png", "")) < _LARGE:
                continue
            picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
            if picture.mode == "P":
                continue  # line art, a few colours
            buffer = io.BytesIO()
            picture.convert("RGB").save(buffer, "WEBP", quality=_QUALITY, method=4)
            data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
            output.metadata.setdefault("image/png", {})["kind"] = "image/webp"


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        same = joined and output.output_type == "stream" == joined[-1].output_type
        if same and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def reports_folder(runs_dir: Path) -> Path:
    """Where the pages of the study in ``runs/<study>`` go."""
    return runs_dir.parents[1] / "reports" / runs_dir.name


def style() -> str:
    """The style sheet of all pages."""
    return (TEMPLATE / "style.css").read_text()


def write_page(path: Path, text: str) -> Path:
    """Writes a file, and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
