"""What others printed stands beside ours only where categories and data agree."""

import pytest

from harlib.study.report import published_results

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("study", "titles"),
    [
        ("kinetics600", ["The original study", "The literature"]),
        ("kinetics400", ["The literature"]),
        ("kinetics400-15", ["The original study"]),  # 15 of 400 categories: nobody else's
        ("kinetics400-27", ["The original study"]),
        ("demo", []),
        ("ucf101-mini", []),
    ],
)
def test_which_tables_a_study_has(study, titles):
    assert [table["title"] for table in published_results.tables(study)] == titles


def test_every_row_has_a_source_a_protocol_and_a_cell_a_column():
    for study in ("kinetics400", "kinetics600"):
        table = published_results.tables(study)[-1]
        assert [name for name, _ in table["columns"]][-1] == "source"
        for row in table["rows"]:
            assert len(row) == len(table["columns"])
            assert "/" in row[-1] or "GluonCV" in row[-1]
            assert row[1] == "16 × 112 × 112"
            assert any(value.endswith("%") for value in row[2:-1])
    resnext = next(row for row in table["rows"] if row[0] == "3D ResNeXt-101")
    assert resnext[2:5] == ["–", "68.30 %", "–"]


def test_a_printed_accuracy_is_no_typing_error():
    shares = published_results._rows("published.csv", "kinetics600")["top1"]
    assert shares.between(0.2, 0.9).all()
    for study in ("kinetics400", "kinetics600"):
        table = published_results._rows("literature.csv", study)
        assert table["video_top1"].between(55, 80).all()
        assert (table["clip_top1"].dropna() < table["video_top1"][table["clip_top1"].notna()]).all()


def test_the_index_quotes_apart_from_what_was_measured(tmp_path):
    from harlib.study.report import index

    runs = tmp_path / "runs" / "kinetics600"
    runs.mkdir(parents=True)
    page = index.write_index(runs).read_text()
    assert "68.30 %" in page and "28.7 %" in page and "Efficient-3DCNNs" in page
    measured = page[: page.index("Quoted, not measured here")]
    assert "68.3" not in measured and "28.7" not in measured
