"""The table of `make parity`."""

import math

import parity_table
import pytest


@pytest.mark.quick
def test_a_row_has_the_largest_difference_of_each_check():
    found = [
        ("x3d_s", {"logits": 2e-7, "clip": 0.71}),
        ("c3d", {"logits": math.nan}),
        ("x3d_s", {"logits": 3e-6, "torch": 0.0}),
        ("c3d", {"logits": 1e-7}),
    ]
    heading, _, *rows = parity_table.markdown(found).splitlines()
    columns = [cell.strip() for cell in heading.strip("|").split("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    c3d, x3d = (dict(zip(columns, row, strict=True)) for row in cells)
    assert c3d["network"] == "c3d" and c3d["logits"] == "nan"
    assert x3d["logits"] == "3e-06" and x3d["clip, of 255"] == "0.7" and x3d["PyTorch"] == "0e+00"
    assert x3d["exported"] == "–"
