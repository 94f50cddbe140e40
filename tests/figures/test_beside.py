"""Pictures of two videos side by side."""

import re

import numpy as np
import pytest

from harlib.figures.beside import Beside, Side

pytestmark = pytest.mark.quick
FRAME = np.full((48, 64, 3), 90, np.uint8)
HOSTILE = "<img src=x onerror=alert(1)> & \"q\" 'q'"


def side(name):
    return Side([FRAME, FRAME[:, :30]], ["alike at 0.0 s", "middle at 1.0 s"], name, "a, train")


def test_every_picture_says_what_it_is_and_names_are_text():
    page = Beside([(side(HOSTILE), side("b"), "3 bits <apart>")])._repr_html_()
    assert page.count("<img ") == 4 and page.count("data:image/webp;base64,") == 4
    assert "onerror=alert" in page and "<img src=x" not in page and "3 bits &lt;apart&gt;" in page
    alts = re.findall(r'alt="([^"]*)"', page)
    assert alts[3] == "Frame of b (a, train), middle at 1.0 s" and "&quot;q&quot;" in alts[0]
    assert len(page) < 8000


def test_the_same_pictures_are_the_same_bytes_and_a_terminal_has_the_names():
    one, two = (Beside([(side("a"), side("b"), "alike")]) for _ in range(2))
    assert one._repr_html_() == two._repr_html_()
    assert repr(one) == "a | b: alike"
