"""What a study's runs reach, as a Markdown table: a row a run, a column a seed.

    python benchmarks/seeds.py RUNS [RUNS ...]

RUNS is the folder of a study's runs (runs/pretrained-ucf101-mini); several are the same study with
other seeds, each trained in a checkout of its own. Folds (RUN.fold1, ...) are pooled. Runs that are
not scored yet are left out, and said. Of several labels per video the numbers are mean average
precisions.
"""

import argparse
import statistics
import sys
from pathlib import Path

from harlib.evaluation import Scores, folds, metrics, ranking
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
        if run.read_params().get("model") and not run.metrics.is_file():
            print(f"left out, not scored: {run.path}", file=sys.stderr)
    names = [run.path.name for run in found if run.metrics.is_file()]
    together = folds.of_names(names)
    alone = [name for name in names if not any(name in own for own in together.values())]
    return {
        name: [study / one for one in own]
        for name, own in sorted((together | {name: [name] for name in alone}).items())
    }


def measured(folders):
    """`value, low, high, clips` (per cent; of single clips, None where unknown) and `minutes`."""
    scores = [Scores.load(folder) for folder in folders]
    found = metrics.summary(folds.pooled(scores) if len(scores) > 1 else scores[0])
    several = ranking.is_of_several(found)
    key, bounds = ("mean_average_precision", "interval") if several else ("top1", "top1_interval")
    ends = (found["video"][key], *found["video"][bounds], found["clip"][key])
    value, low, high, clips = (None if end is None else 100 * end for end in ends)
    minutes = sum(read_json(RunFolder(one).metrics)["minutes"] for one in folders)
    return {"value": value, "low": low, "high": high, "clips": clips, "minutes": minutes}


def interval(found):
    return f"{found['value']:.1f} % ({found['low']:.0f}–{found['high']:.0f})"


def heading(study):
    """The seed of a study's runs, as their parameters say; of several seeds all of them."""
    folders = [folder for own in study.values() for folder in own]
    seeds = sorted({RunFolder(folder).read_params().get("seed", 0) for folder in folders})
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def main():
    studies = [runs(study) for study in parse().studies]
    several = len(studies) > 1
    seeds = [heading(study) for study in studies] if several else ["video level"]
    columns = ["run", *seeds, *(["mean (range)"] if several else []), "single clips", "minutes"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name in sorted(set().union(*studies)):
        found = [measured(study[name]) if name in study else None for study in studies]
        there = [one for one in found if one]
        values = [one["value"] for one in there]
        cells = [name, *(interval(one) if one else "–" for one in found)]
        if several:
            mean = statistics.mean(values)
            cells.append(f"**{mean:.1f} %** ({min(values):.1f}–{max(values):.1f})")
        clips = [one["clips"] for one in there if one["clips"] is not None]
        cells.append(f"{statistics.mean(clips):.1f} %" if clips else "–")
        print(f"| {' | '.join(cells)} | {statistics.mean(one['minutes'] for one in there):.1f} |")


if __name__ == "__main__":
    main()
