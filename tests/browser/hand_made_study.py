"""A study's run files, written by hand: no notebook is run, no network is trained."""

import base64
import io
import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from harlib import figures
from harlib.evaluation import Scores, metrics
from harlib.figures.beside import Beside, Side
from harlib.study.report import index, run_page
from harlib.study.wording import sentences, tables
from harlib.study.wording.folded import Folded

HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "\"quoted\" & 'quoted' \\ `tick` $x$ _under_ *star*",
    "long " + "x" * 195,
    "跳舞 رقص नृत्य",
    '<img src="https://example.com/x.png" onerror="document.title = \'owned\'">',
)
RUNS = ("02_frame_cnn", "03_c3d", "03_c3d.modern")


def write(root: Path) -> Path:
    """A study of a data run and three model runs; returns the folder of its reports."""
    runs = root / "runs" / "kinetics400-15"
    _data_run(runs / "01_data_prep")
    for number, name in enumerate(RUNS):
        _model_run(runs / name, seed=number, skill=1.0 + number)
    for folder in sorted(runs.iterdir()):
        run_page.write_report(folder)
    return index.write_index(runs).parent


def scores(seed: int, skill: float, *, videos=60) -> Scores:
    """A model's scores, the better the higher its skill; every third video shares a group."""
    rng = np.random.default_rng(seed)
    label = np.arange(videos) % len(HOSTILE)
    logits = rng.normal(size=(videos, 4, len(HOSTILE)))
    logits[np.arange(videos), :, label] += skill
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return Scores(
        video_id=[f"v{number}" for number in range(videos)],
        label=label,
        categories=HOSTILE,
        video_scores=share.mean(axis=1),
        view_scores=share,
        group=[f"g{number // 3}" for number in range(videos)],
    )


def _model_run(folder: Path, *, seed: int, skill: float) -> None:
    own = scores(seed, skill)
    own.save(folder)
    protocol = {"split": "val", "clips": "windows" if seed else 4, "crops": 1, "frames": 16,
                "stride": 1, "size": 48}  # fmt: skip
    network = {"name": folder.name, "parameters": 48_340_816 // (seed + 1), "gmacs": 9.7 - seed}
    written = metrics.write(folder, own, protocol, network, 3.5 + 7 * seed)
    matrix = figures.confusion(metrics.confusion(own), own.categories)
    table = metrics.per_category(own)
    cells = [
        new_markdown_cell("# C3D: convolutions in space and time\n\nWhat it is."),
        new_code_cell(
            "from harlib import figures  # a comment\nx = 'text' + str(3.5)",
            outputs=[new_output("stream", name="stdout", text="epoch 1\n" * 3)],
        ),
        new_markdown_cell("## How good is it?\n\n- a list with [a link](#x) and `code`\n"),
        _shown(sentences.answer(written)),
        _picture(matrix),
        _shown(tables.Table(table)),
        _shown(tables.Table(metrics.most_confused(own))),
        _shown(sentences.reading(table, metrics.most_confused(own, n=1))),
        new_markdown_cell("## By *category*\n\nThe same in dots."),
        _picture(figures.per_category(table)),
        _shown(tables.Sentence(f"Of {', '.join(RUNS)} this is one; not of {RUNS[-1]}.x")),
        new_markdown_cell("### How good is it?\n\nOnce more."),
        _picture(figures.top_confusions(metrics.most_confused(own))),
    ]
    _finish(folder, cells, minutes=3.5)


def _data_run(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "data.json").write_text(json.dumps({"summary": "The store holds 60 videos."}))
    counts = pd.DataFrame({"category": HOSTILE, "split": "val"})
    wide = pd.DataFrame({f"column {number}": [1234567.0] for number in range(20)})
    cells = [
        new_markdown_cell("# What the networks will see\n\nText."),
        _picture(figures.category_counts(counts)),
        _shown(tables.Table(wide)),
        _shown(Folded(pd.DataFrame({"video": HOSTILE * 50}), "video", most=100)),
        _shown(_look_alikes()),
        _widget(picture=False),
        _widget(picture=True),
        new_code_cell(
            "1 / 0",
            outputs=[
                new_output(
                    "error",
                    ename="ZeroDivisionError",
                    evalue="division by zero",
                    traceback=["\x1b[31mZeroDivisionError\x1b[0m: division by zero"],
                )
            ],
        ),  # fmt: skip
    ]
    _finish(folder, cells, minutes=1.0)


def _look_alikes() -> Beside:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 2, 48, 64, 3), np.uint8)
    moments = ["alike at 0.0 s", "middle at 1.0 s"]
    sides = [Side(list(own), moments, name, name)
             for own, name in zip(pictures, HOSTILE[1:], strict=True)]  # fmt: skip
    return Beside([(*sides[:2], "3 bits of 64 apart"), (*sides[2:], HOSTILE[0])])


def _finish(folder: Path, cells: list, *, minutes: float) -> None:
    nbformat.write(new_notebook(cells=cells), folder / f"{folder.name}.ipynb")
    params = {"study": folder.parent.name, "run": folder.name, "seed": 0, "train_split": "train",
              "recipe": "modern", "epochs": 3, "batch": 8, "frames": 16,
              "categories": list(HOSTILE)}  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    environment = {
        "versions": {"harlib": "0.1.0", "keras": "3.15.1", "python": "3.11"},
        "backend": "tensorflow",
        "cpu": "a processor",
        "cores": 2,
        "memory_bytes": 8_000_000_000,
        "accelerators": [],
        "commit": "0123456789ab",
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    state = {"status": "complete", "minutes": minutes, "store_hash": "0123456789ab", "problem": ""}
    (folder / "run.json").write_text(json.dumps(state))


def _shown(thing) -> nbformat.NotebookNode:
    data = {"text/html": thing._repr_html_(), "text/plain": repr(thing)}
    return new_code_cell("thing", outputs=[new_output("execute_result", data=data)])


def _picture(drawn) -> nbformat.NotebookNode:
    data = {"image/png": base64.b64encode(figures.png(drawn)).decode(), "text/plain": "a figure"}
    about = {"image/png": figures.about(drawn)}
    return new_code_cell("figure", outputs=[new_output("display_data", data=data, metadata=about)])


def _widget(*, picture: bool) -> nbformat.NotebookNode:
    data = {
        "text/plain": "VBox(children=(HBox(children=(Dropdown()",
        "application/vnd.jupyter.widget-view+json": {"model_id": "0", "version_major": 2},
    }
    about = {}
    if picture:
        from PIL import Image

        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), "navy").save(buffer, "PNG")
        data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
        about = {"image/png": {"alt": "One frame of each of the videos"}}
    output = new_output("execute_result", data=data, metadata=about)
    return new_code_cell("explore.browse(store)", outputs=[output])
