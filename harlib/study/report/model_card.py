"""The card of a trained model: what it is, what it was taught, how good it is, where it fails."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from harlib.data.loading import clip_input
from harlib.evaluation import Scores, multi_label, naming, ranking
from harlib.evaluation import metrics as metrics_of
from harlib.evaluation.hits import all_labels, right_videos
from harlib.files import read_json
from harlib.run_folder import RunFolder
from harlib.study.report.run_page import protocol, study_of
from harlib.study.wording import sentences
from harlib.text import count, percent

WORST = 5  # categories named as the hardest
NAMED = 60  # up to this number of categories are listed by name


def facts(run_dir: Path) -> dict[str, Any]:
    """The card of a scored run: `run`, `title`, `answer`, and `sections` of (name, lines)."""
    metrics, state = naming.read(run_dir), RunFolder(run_dir).read_state()
    params = RunFolder(run_dir).read_params()
    where = read_json(RunFolder(run_dir).environment)
    model, video = metrics["model"], metrics["video"]
    scores = Scores.load(run_dir) if RunFolder(run_dir).scores.is_file() else None
    network = [
        f"{naming.network(metrics)}: "
        f"{sentences.parameters(model['parameters'], model.get('trainable'))}; "
        f"{model['gmacs']:.3g} billion multiply-adds per clip.",
        f"A clip is uint8 RGB (batch, frames, height, width, 3): "
        f"{clip_input.said(clip_input.clip_input(run_dir))}. It gives one probability per "
        f"{'label' if ranking.is_of_several(metrics) else 'category'}.",
        *_use(run_dir, metrics),
    ]
    taught = [
        f"The {params['train_split']} videos of the clip store {state.get('store_hash', '–')}, "
        f"recipe {params['recipe']}, {count(params['epochs'], 'epoch')}, "
        f"{params['batch']} clips per step, seed {params['seed']}.",
        f"{metrics['minutes']:.1f} minutes on {_hardware(where)}; code "
        f"{where['commit'] or 'outside git'}, Keras {where['versions']['keras']} on "
        f"{where['backend']}.",
    ]
    if weights := state.get("weights"):
        taught.insert(0, f"It started from the weights {sentences.starting_weights(weights)}.")
    good = [str(sentences.answer(metrics))]
    several = ranking.is_of_several(metrics)
    good.append(
        f"Protocol: {protocol(metrics)}."
        if several
        else f"Protocol: {protocol(metrics)}. {_top5(metrics)} over categories "
        f"{percent(video['mean_class'])}."
    )
    if metrics.get("calibration_error") is not None:
        good.append(
            f"Its confidence is off by {percent(metrics['calibration_error'])} on "
            "average (expected calibration error)."
        )
    limits = [
        "It knows only its own labels. Of each it says yes or no by a threshold of its own, and "
        "may say no to all."
        if several
        else "It knows only its own categories and answers with one of them whatever it is shown.",
        "Measured on videos of the kind it was trained on; one training run, one seed. Do not "
        "use it to decide about people.",
    ]
    if scores is not None:
        limits.insert(0, _hardest(scores))
        taught.insert(0, _categories(scores))
    return {
        "run": run_dir.name,
        "title": f"{naming.network(metrics)}, of the study {study_of(run_dir)}",
        "answer": str(sentences.answer(metrics)),
        "sections": [
            ("The network", network),
            ("What it was taught", taught),
            ("How good it is", good),
            ("Where it fails", limits),
        ],
    }


def _use(run_dir: Path, metrics: dict[str, Any]) -> list[str]:
    """How to use its weights, where they are kept."""
    best = metrics["protocol"].get("checkpoint") == "best"
    file = RunFolder(run_dir).weights("best" if best else "last")
    if not file.is_file():
        return ["Its weights are not kept in its run's folder."]
    run = f"runs/{run_dir.parent.name}/{run_dir.name}"
    option = " --checkpoint best" if best else ""
    path = f"{run}/{file.relative_to(run_dir).as_posix()}"
    return [
        f'With harlib: import harlib.models, then keras.saving.load_model("{path}"). Without '
        f"harlib a keras file cannot be opened.",
        f"Elsewhere: har export {run}{option} --to onnx (or saved_model) writes {run}/export, with "
        f"README.json (clips, categories in order) and an example that prints the label of a "
        f"video.",
    ]


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
    return "\n".join(parts)


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


def _hardware(where: dict[str, Any]) -> str:
    return ", ".join(where["accelerators"]) or f"{count(where['cores'], 'core')} ({where['cpu']})"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*{}\[\]<>#|&]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(str(text).split()))
