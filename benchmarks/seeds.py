"""What a study's runs reach, as a Markdown table: a row a run, a column a seed.

    python benchmarks/seeds.py RUNS [RUNS ...]

RUNS is the folder of a study's runs (runs/pretrained-ucf101-mini); several are the same study with
other seeds, each trained in a checkout of its own. Folds (RUN.fold1, ...) are pooled. Runs that are
not scored yet are left out, and said.
"""

import argparse
import statistics
import sys
from pathlib import Path

from harlib.evaluation import Scores, folds, metrics
from harlib.files import read_json
from harlib.run_folder import RunFolder


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("studies", nargs="+", type=Path, metavar="RUNS")
    return parser.parse_args()


def runs(study):
    """{run: the folders of its folds, or its own} of the scored runs of a study."""
    found = [
        RunFolder(path) for path in sorted(study.iterdir()) if RunFolder(path).params.is_file()
    ]
    for run in found:
        if "01_data" not in run.path.name and not run.metrics.is_file():
            print(f"left out, not scored: {run.path}", file=sys.stderr)
    names = [run.path.name for run in found if run.metrics.is_file()]
    together = folds.of_names(names)
    alone = [name for name in names if not any(name in own for own in together.values())]
    return {
        name: [study / one for one in own]
        for name, own in sorted((together | {name: [name] for name in alone}).items())
    }


def measured(folders):
    scores = [Scores.load(folder) for folder in folders]
    found = metrics.summary(folds.pooled(scores) if len(scores) > 1 else scores[0])
    found["minutes"] = sum(read_json(RunFolder(one).metrics)["minutes"] for one in folders)
    return found


def interval(found):
    low, high = (100 * end for end in found["video"]["top1_interval"])
    return f"{100 * found['video']['top1']:.1f} % ({low:.0f}–{high:.0f})"


def main():
    studies = [runs(study) for study in parse().studies]
    several = len(studies) > 1
    seeds = [f"seed {number}" for number in range(len(studies))] if several else ["video top-1"]
    heading = ["run", *seeds, *(["mean (range)"] if several else []), "single clips", "minutes"]
    print(f"| {' | '.join(heading)} |\n|{'---|' * len(heading)}")
    for name in sorted(set().union(*studies)):
        found = [measured(study[name]) if name in study else None for study in studies]
        there = [one for one in found if one]
        top1 = [100 * one["video"]["top1"] for one in there]
        cells = [name, *(interval(one) if one else "–" for one in found)]
        if several:
            mean = statistics.mean(top1)
            cells.append(f"**{mean:.1f} %** ({min(top1):.1f}–{max(top1):.1f})")
        clips = statistics.mean(100 * one["clip"]["top1"] for one in there)
        minutes = statistics.mean(one["minutes"] for one in there)
        print(f"| {' | '.join([*cells, f'{clips:.1f} %', f'{minutes:.1f}'])} |")


if __name__ == "__main__":
    main()
