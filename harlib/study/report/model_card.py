"""The card of a trained model: what it is, what it was taught, how good it is, where it fails."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import harlib
from harlib import pretrained
from harlib.data.loading import clip_input
from harlib.evaluation import Scores, confidence, folds, multi_label, naming, ranking
from harlib.evaluation import metrics as metrics_of
from harlib.evaluation.category_table import category_table
from harlib.evaluation.hits import all_labels, right_videos
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.report.run_page import protocol, study_of
from harlib.study.runs import scored_videos
from harlib.study.runs.scored_store import AnotherStore, scored_store
from harlib.study.wording import citations, sentences, tables
from harlib.text import count, percent

WORST = 5  # categories named as the hardest
ONE_SIDED = 0.8  # from this share of its calibration error on, one side is named
NAMED = 60  # up to this number of categories are listed by name


def facts(run_dir: Path, network: str = "") -> dict[str, Any]:
    """The card of a scored run.

    Args:
        network: where its exported network lies beside the card, as in a bundle; without it the
            run's own folder is named.

    Returns:
        `run`, `title`, `answer`, `sections` of (name, lines); `code`, lines of Python that end in a
        label, empty where the weights are not kept; `categories`, a table of (headings, rows of
        texts), None without scores; `bibtex`, how to cite what went into it.
    """
    metrics, state = naming.read(run_dir), RunFolder(run_dir).read_state()
    params = RunFolder(run_dir).read_params()
    where = read_json(RunFolder(run_dir).environment)
    model, video = metrics["model"], metrics["video"]
    scores = scored_videos.scores_of(run_dir) if RunFolder(run_dir).scores.is_file() else None
    several = ranking.is_of_several(metrics)
    source = _source(run_dir, state)
    weights_file, which = _weights(run_dir, metrics)
    is_sure = weights_file.is_file() and confidence.is_known(run_dir, which)
    about = [
        f"{naming.network(metrics)}: "
        f"{sentences.parameters(model['parameters'], model.get('trainable'))}; "
        f"{model['gmacs']:.3g} billion multiply-adds per clip.",
        f"A clip is uint8 RGB (batch, frames, height, width, 3): "
        f"{clip_input.said(clip_input.clip_input(run_dir))}. Values are 0 to 255: the network "
        f"scales and shifts them itself. It gives one probability per "
        f"{'label' if several else 'category'}.",
        *_use(run_dir, metrics, network),
    ]
    taught = [
        f"The {params['train_split']} videos of the clip store {state.get('store_hash', '–')}, "
        f"recipe {params['recipe']}, {count(params['epochs'], 'epoch')}, "
        f"{params['batch']} clips per step, seed {params['seed']}.",
        _cost(metrics["minutes"], where),
        f"Code {where['commit'] or 'outside git'}, Keras {where['versions']['keras']} on "
        f"{where['backend']}.",
    ]
    weights = state.get("weights")
    if weights:
        taught.insert(0, f"It started from the weights {sentences.starting_weights(weights)}.")
    good = [str(sentences.answer(metrics))]
    good.append(
        f"Protocol: {protocol(metrics)}."
        if several
        else f"Protocol: {protocol(metrics)}. {_top5(metrics)} over categories "
        f"{percent(video['mean_class'])}."
    )
    if metrics.get("calibration_error") is not None:
        good.append(_confidence(metrics["calibration_error"], scores, is_sure))
    good += _chosen(run_dir, metrics, params, source, is_sure)
    intended = [
        "To name what is done in short videos of the kind it was trained on, and to be compared "
        "with other networks on the same videos.",
        "It knows only its own labels. Of each it says yes or no by a threshold of its own, and "
        "may say no to all."
        if several
        else _answers(is_sure),
        "Measured on videos of the kind it was trained on; one training run, one seed. Do not "
        "use it to decide about people.",
    ]
    sections = [
        ("The network", about),
        ("What it is for, and what not", intended),
        ("The data", _data(run_dir, source, scores)),
        ("What it was taught", taught),
        ("How good it is", good),
    ]
    if scores is not None:
        sections.append(("Where it fails", [_hardest(scores)]))
    sections.append(("Licences", _licences(weights, source)))
    split = metrics["protocol"]["split"]
    return {
        "run": run_dir.name,
        "title": f"{naming.network(metrics)}, of the study {study_of(run_dir)}",
        "answer": str(sentences.answer(metrics)),
        "sections": sections,
        "code": _code(run_dir, metrics, network),
        "categories": None if scores is None else tables.by_category(category_table(scores, split)),
        "bibtex": bibtex([run_dir]),
    }


def _weights(run_dir: Path, metrics: dict[str, Any]) -> tuple[Path, str]:
    """The file that was scored, and which checkpoint that is."""
    which = "best" if metrics["protocol"].get("checkpoint") == "best" else "last"
    return RunFolder(run_dir).weights(which), which


def _use(run_dir: Path, metrics: dict[str, Any], network: str) -> list[str]:
    """How to use its weights, where they are kept."""
    file, which = _weights(run_dir, metrics)
    if not file.is_file():
        return ["Its weights are not kept in its run's folder."]
    run = f"runs/{run_dir.parent.name}/{run_dir.name}"
    option = " --checkpoint best" if which == "best" else ""
    path = network or f"{run}/{file.relative_to(run_dir).as_posix()}"
    where = " where the study was made (that folder is not in the zip file)" if network else ""
    version = f" {harlib.__version__} (see README.txt)" if network else ""
    return [
        f"With harlib{version}: import harlib.models, then "
        f'keras.saving.load_model("{path}"). Without harlib a keras file cannot be opened.',
        f"Elsewhere: har export {run}{option} --to onnx (or saved_model){where} writes "
        f"{run}/export, with README.json (clips, categories in order) and an example that prints "
        "the label of a video.",
    ]


_PYTHON = """\
import sys

from harlib import inference

network = {network}  # {what}
video = sys.argv[1]  # a file of any format that FFmpeg reads
found = inference.load(network{checkpoint})(video)
print(found.top(3).to_string(index=False))
print(found.label)
"""


def _quoted(text: str) -> str:
    """As formatters of Python write it: a JSON text is a Python one."""
    return json.dumps(text, ensure_ascii=False)


def _code(run_dir: Path, metrics: dict[str, Any], network: str) -> str:
    file, which = _weights(run_dir, metrics)
    if not file.is_file():
        return ""
    if network:
        return _PYTHON.format(network=_quoted(network), what="beside this card", checkpoint="")
    return _PYTHON.format(
        network=_quoted(f"runs/{run_dir.parent.name}/{run_dir.name}"),
        what="the run's folder, or what `har export` wrote of it",
        checkpoint=', checkpoint="best"' if which == "best" else "",
    )


def _cost(minutes: float, where: dict[str, Any]) -> str:
    """What it took, as far as a run knows."""
    text = f"{minutes:.1f} minutes by the clock on {hardware(where)}"
    if not where["accelerators"]:
        text += f", so at most {minutes * where['cores']:.1f} CPU minutes"
    return f"{text}; scoring is included. Energy was not measured."


_SOURCES = {
    "demo": "drawn by harlib (har demo-data): people who act, no recording of anybody",
    "kinetics": "Kinetics, by its published lists",
    "kinetics600": "Kinetics-600, by its published lists",
    "ucf101": "UCF101, by its published lists",
    "folder": "a folder of one's own videos",
    "table": "a table of one's own videos",
}


def _data(run_dir: Path, source: str, scores: Scores | None) -> list[str]:
    """Categories, source, splits and groups, as far as the run and its study tell."""
    lines = [] if scores is None else [_categories(scores)]
    if source in _SOURCES:
        lines.append(f"Source: {_SOURCES[source]}.")
    try:
        videos = scored_store(run_dir).videos
    except AnotherStore:
        lines.append("Its clip store is no longer there, so its videos are not counted here.")
    else:
        parts = [
            f"{count(len(own), f'{split} video')} of {count(own['group'].nunique(), 'group')}"
            for split, own in videos.groupby("split", sort=False, observed=True)
        ]
        sides = videos.groupby("group")["split"].nunique().gt(1).sum()
        apart = f"{count(int(sides), 'group')} on two sides of the split" if sides else (
            "no group is on two sides of the split")  # fmt: skip
        lines.append(f"{'; '.join(parts)}; {apart}.")
    if scores is not None and len(scores.missing_id):
        lines.append(
            f"{count(len(scores.missing_id), 'listed video')} could not be read, and counted as "
            "wrong."
        )
    return lines


def _source(run_dir: Path, state: dict[str, Any]) -> str:
    """Where the study's notebook 01 took the videos of this run from; "" where nothing tells."""
    for folder in sorted(run_dir.parent.glob("01_*")):
        data = RunFolder(folder)
        made = data.data.is_file() and read_json(data.data).get("store_hash")
        if made and made == state.get("store_hash"):
            source = str(data.read_params().get("source", ""))
            # of the published versions one alone has so many categories; a part of one tells none
            is_600 = source == "kinetics" and naming.read(run_dir).get("categories") == 600
            return "kinetics600" if is_600 else source
    return ""


def _licences(weights: dict[str, str] | None, source: str) -> list[str]:
    lines = [f"The code, harlib: {citations.licence()}."]
    if weights:
        lines.append(f"The starting weights, {weights['name']}: {weights['licence'] or 'unknown'}.")
    else:
        lines.append("It started from random weights, so no other network's licence bears on it.")
    if source == "demo":
        lines.append(f"The videos, drawn by harlib: {citations.licence()}, too.")
    else:
        lines.append("The videos have licences of their own, which are those of their source.")
    return lines


def bibtex(run_dirs: Sequence[Path]) -> str:
    """How to cite what went into runs: harlib, their networks, their starting weights, the data."""
    papers, data = [], []
    for run_dir in run_dirs:
        state = RunFolder(run_dir).read_state()
        name = naming.read(run_dir)["model"]["name"]
        papers.append(citations.network(name))
        if name.startswith("resnext"):
            papers.append(citations.method("grouped convolutions"))
        if RunFolder(run_dir).read_params().get("pixels") == "residual":
            papers.append(citations.method("residual frames"))
        weights = state.get("weights")
        if weights and weights["name"] in pretrained.names():
            papers.append(citations.paper(pretrained.find(weights["name"]).paper))
        data.append(citations.data(_source(run_dir, state)))
    every = [citations.harlib(), *papers, *data]
    return "\n\n".join(dict.fromkeys(filter(None, every)))


def _answers(is_sure: bool) -> str:
    """What it says of a video of something else. is_sure: it has a threshold."""
    if not is_sure:
        return "It knows only its own categories and answers with one of them whatever it is shown."
    return (
        "It knows only its own categories. har predict and the code of this card answer "
        '"none of these" where it is less sure than a threshold; without that it answers with one '
        "of them whatever it is shown."
    )


def _confidence(error: float, scores: Scores | None, is_sure: bool) -> str:
    """How far its probabilities are from how often it is right, and to which side."""
    text = f"Its confidence is off by {100 * error:.1f} points (expected calibration error)"
    if scores is not None and not scores.several and len(scores.label):
        says = float(scores.video_scores.max(axis=1).mean())
        right = float((scores.video_scores.argmax(axis=1) == scores.label).mean())
        if abs(says - right) > ONE_SIDED * error:
            text += (
                f": it is too {'sure' if says > right else 'modest'}, says {percent(says)} on "
                f"average and is right in {percent(right)} of the videos that could be read"
            )
        else:
            text += ", of some videos too sure and of others too modest"
    if is_sure:
        text += ". har predict and the code of this card correct it by a temperature"
    return f"{text}."


def _chosen(
    run_dir: Path, metrics: dict[str, Any], params: dict[str, Any], source: str, is_sure: bool
) -> list[str]:
    """What the scored videos have chosen, where they are not those of a test split."""
    split, chosen = metrics["protocol"]["split"], []
    if split == "test":
        return []
    runs = [one.name for one in scored_videos.scored(run_dir.parent)]
    apart = {name for own in folds.of_names(runs).values() for name in own}  # on other videos each
    if run_dir.name not in apart and len(runs) - len(apart) > 1:
        chosen.append(f"this run among {len(runs) - len(apart)}")
    if split == params.get("validate_split") and (
        params.get("patience") or metrics["protocol"].get("checkpoint") == "best"
    ):
        chosen.append("its epoch")
    if (source, study_of(run_dir)) == ("demo", "demo"):
        chosen.append("the recipe of the demo")
    lines = []
    if chosen:
        named = " and ".join(filter(None, [", ".join(chosen[:-1]), chosen[-1]]))
        lines.append(
            f"The same {split} videos have chosen {named}, so its accuracy on videos that chose "
            "nothing may be lower."
        )
    if is_sure:
        lines.append(f"The temperature and the threshold come from these {split} videos, too.")
    return lines


def _top5(metrics: dict[str, Any]) -> str:
    """Of up to five categories nothing is said: it is 1 whatever the network does."""
    if metrics["video"]["top5"] is None or metrics.get("categories", 6) <= 5:
        return "Mean"
    return f"Top-5 {percent(metrics['video']['top5'])}, mean"


def markdown(card: dict[str, Any]) -> str:
    """The card as a Markdown file."""
    parts = [f"# {_plain(card['title'])}\n"]
    for name, lines in card["sections"]:
        parts.append(f"## {name}\n\n" + "\n".join(f"- {_plain(line)}" for line in lines) + "\n")
    if card["code"]:
        parts.insert(2, f"## A label in ten lines\n\n```python\n{card['code']}```\n")
    if card["categories"] is not None:
        parts.append(f"## Each category\n\n{_markdown_table(card['categories'])}\n")
    parts.append(f"## How to cite\n\n```bibtex\n{card['bibtex']}\n```\n")
    return "\n".join(parts)


def _markdown_table(table: tables.Table) -> str:
    head, *rows = table.texts()
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    plain = [line if number == 1 else map(_plain, line) for number, line in enumerate(lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in plain)


def _hardest(scores: Scores) -> str:
    if scores.several:
        return _hardest_labels(scores)
    labels = all_labels(scores)
    support = np.bincount(labels, minlength=len(scores.categories))
    right = np.bincount(labels, weights=right_videos(scores), minlength=len(support))
    there = np.flatnonzero(support)
    there = there[right[there] < support[there]]
    order = there[np.argsort(right[there] / support[there], kind="stable")][:WORST]
    worst = ", ".join(
        f"{scores.categories[label]} ({percent(right[label] / support[label])} of {support[label]})"
        for label in order
    )
    confused = metrics_of.most_confused(scores, n=2)
    text = f"Hardest categories: {worst}." if worst else "No video of this split was misjudged."
    if len(confused):
        top = confused.iloc[0]
        several = (confused["videos"] == top["videos"]).sum() > 1
        text += (
            f" {'One of the most frequent mistakes' if several else 'Most frequent mistake'}: "
            f"{top['true']} is called {top['predicted']} "
            f"({count(int(top['videos']), 'video')})."
        )
    return text


def _hardest_labels(scores: Scores) -> str:
    values, support = multi_label.average_precisions(scores), scores.targets.sum(axis=0)
    order = [place for place in np.argsort(values, kind="stable") if support[place]][:WORST]
    worst = ", ".join(
        f"{scores.categories[label]} ({percent(values[label])}; {support[label]} videos have it)"
        for label in order
    )
    return f"Lowest average precision: {worst}."


def _categories(scores: Scores) -> str:
    names = [str(name) for name in scores.categories]
    if scores.several:
        sets = f", in {len(scores.truths)} combinations: a video may have several"
        if len(names) > NAMED:
            return f"{len(names)} labels, from {names[0]} to {names[-1]}{sets}."
        return f"{len(names)} labels ({', '.join(names)}){sets}."
    if len(names) > NAMED:
        return f"{len(names)} categories, from {names[0]} to {names[-1]}."
    return f"{len(names)} categories: {', '.join(names)}."


def hardware(where: dict[str, Any]) -> str:
    """What a run was computed on, by its environment.json."""
    return ", ".join(where["accelerators"]) or f"{count(where['cores'], 'core')} ({where['cpu']})"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*{}\[\]<>#|&]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))
