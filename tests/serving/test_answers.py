"""What the page and `/api/model` tell of a network."""

import dataclasses
import json

import numpy as np
import pytest
import small_network

from harlib.serving import answers, page

pytestmark = pytest.mark.quick


def shown(predictor):
    about = answers.about(predictor, "")
    json.dumps(about, allow_nan=False)
    return about, " ".join(page.whole(about, "nonce", 1000, 60.0).split())


def test_a_network_of_one_label_has_one_threshold():
    about, html = shown(small_network.load())
    assert about["thresholds"] is None and about["confidence"]["threshold"] == 0.6
    assert "<dt>names a video from</dt><dd>60.0 % on" in html and "names a label" not in html


@pytest.mark.parametrize(
    ("limits", "told", "listed"),
    [
        ([0.5, np.nan, 0.25], "25.0 to 50.0 % on, as was best", "dark, never named"),
        ([0.5, 0.5, 0.5], "50.0 % on</dd>", "dark, from 50.0 % on"),
        ([np.nan, np.nan, np.nan], "never: no validation video", "dark, never named"),
    ],
)
def test_a_network_of_several_labels_has_one_for_each(limits, told, listed):
    network = small_network.load()
    about, html = shown(dataclasses.replace(network, confidence=None, thresholds=np.array(limits)))
    known = [None if np.isnan(limit) else limit for limit in limits]
    assert about["thresholds"] == dict(zip(small_network.CATEGORIES, known, strict=True))
    assert f"<dt>names a label from</dt><dd>{told}" in html and f"<li>{listed}</li>" in html
    assert "names a video from" not in html
