"""Kinetics-600's validation split: 27,000 videos × 10 views × 600 categories."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, time
import numpy as np
from harlib import figures
from harlib.evaluation import calibration, metrics
from harlib.evaluation import Scores

videos, classes, views = 27_000, 600, 10
rng = np.random.default_rng(0)
label = np.arange(videos) % classes
view_scores = np.full((videos, views, classes), 0.5 / classes, np.float16)
hit = np.where(rng.random((videos, views)) < 0.6, label[:, None],
               rng.integers(classes, size=(videos, views)))
np.put_along_axis(view_scores, hit[..., None], np.float16(0.5), axis=2)
video_scores = np.stack([one.mean(axis=0, dtype=np.float32) for one in view_scores])
scores = Scores(np.arange(videos), label, [f"category {n:03d}" for n in range(classes)],
                video_scores, view_scores, np.arange(videos) // 2)
start = time.perf_counter()
metrics.summary(scores)
drawn = [
    figures.per_category(metrics.per_category(scores)),
    figures.confusion(metrics.confusion(scores), scores.categories),
    figures.top_confusions(metrics.most_confused(scores, 20)),
    figures.reliability(calibration.reliability(scores)),
]
size = sum(len(figures.png(one)) for one in drawn)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, size)
"""


@pytest.mark.soak
def test_kinetics_600_takes_a_minute_and_two_gigabytes_at_most():
    out = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    seconds, kilobytes, size = map(float, out.stdout.split())
    print(f"{seconds:.1f} s, {kilobytes / 1e6:.2f} GB, figures of {size:,.0f} bytes")
    assert seconds <= 60
    assert kilobytes <= 2_000_000
    assert size <= 1_000_000
