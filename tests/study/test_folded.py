import pandas as pd
import pytest

from harlib.study.steps import data_page
from harlib.study.wording.folded import Folded

pytestmark = pytest.mark.quick


def folded(rows, **options):
    frame = pd.DataFrame({"video": [f"<v{n}>" for n in range(rows)]})
    return Folded(frame, "video", **options)


def test_the_first_rows_stand_open_more_are_folded_and_the_rest_is_counted():
    shown = folded(1250, shown=3, most=5)._repr_html_()
    before, fold, after = shown.partition("<details>")
    assert before.count("<tr>") == 4 and "&lt;v2&gt;" in before and "<v" not in shown
    assert after.count("<tr>") == 3 and "<summary>2 more videos</summary>" in after
    assert "1,245 more videos not listed here." in after and "v5" not in shown
    assert "1,245 more videos not listed here." in repr(folded(1250, shown=3, most=5))


def test_a_short_table_has_no_fold_and_an_empty_one_is_nothing():
    assert "details" not in folded(3)._repr_html_() and "more" not in folded(3)._repr_html_()
    assert folded(0)._repr_html_().strip() == "" == repr(folded(0))
    assert folded(2, shown=0)._repr_html_().count("<tr>") == 3


def test_more_categories_are_said_as_such():
    lost = dict.fromkeys(["listed", "decoded", "short", "duplicates"], range(35))
    shown = data_page.audit(pd.DataFrame(lost))._repr_html_()
    assert "<summary>5 more categories</summary>" in shown
