import asked
import numpy as np
import pandas as pd
import pytest
from hand_made import six

from harlib.evaluation import ScoreError, Scores, predict, score, scoring

pytestmark = pytest.mark.quick


class Store:
    """Seven validation videos after two training ones; a video's pixels are its row number."""

    categories = ["bow", "clap", "wave"]
    hash = "0123456789ab"

    def __init__(self):
        label = [0, 1, 0, 0, 0, 1, 1, 2, 2]
        self.videos = pd.DataFrame(
            {
                "video_id": [f"v{row}" for row in range(9)],
                "category": [self.categories[number] for number in label],
                "label": label,
                "split": ["train"] * 2 + ["val"] * 7,
                "group": [f"g{row // 2}" for row in range(9)],
            }
        )

    def rows(self, split):
        return np.flatnonzero(self.videos["split"] == split)


class Batches(list):
    """Stands for the loader's dataset: every view of every video of the split, in batches."""

    def __init__(self, store, split, batch, views):
        rows = np.repeat(store.rows(split), views)
        numbers = np.tile(np.arange(views), len(rows) // views)
        for start in range(0, len(rows), batch):
            part = slice(start, start + batch)
            clips = np.zeros((len(rows[part]), 2, 4, 4, 3), np.uint8)
            clips[:, 0, 0, 0, 0], clips[:, 0, 0, 0, 1] = rows[part], numbers[part]
            self.append(
                {
                    "clips": clips,
                    "video": rows[part].astype(np.int32),
                    "view": numbers[part].astype(np.int32),
                    "label": store.videos["label"].to_numpy()[rows[part]],
                }
            )


class Model:
    """Gives each (video, view) a known distribution and remembers the batches it was shown."""

    def __init__(self, classes=3):
        self.sizes, self.classes = [], classes

    def predict_on_batch(self, clips):
        self.sizes.append(len(clips))
        row, view = clips[:, 0, 0, 0, 0].astype(float), clips[:, 0, 0, 0, 1].astype(float)
        first = (row + view) / 20
        rest = np.repeat(((1 - first) / (self.classes - 1))[:, None], self.classes - 1, axis=1)
        return np.concatenate([first[:, None], rest], axis=1)


@pytest.fixture
def loader(monkeypatch):
    """Puts the fake batches instead of the loader; returns them for a test to spoil."""
    made = {}

    def batches(store, clip, protocol, *, batch):
        views = protocol.clips * protocol.crops
        made["batches"] = Batches(store, protocol.split, batch, views)
        made.get("spoil", lambda elements: None)(made["batches"])
        return made["batches"]

    monkeypatch.setattr(scoring, "evaluation_batches", batches)
    monkeypatch.setattr(predict, "iterate", lambda dataset, start, **_: iter(dataset[start:]))
    return made


def run(**options):
    options = {"split": "val", "clips": 3, "crops": 1, "batch": 4, "progress": False} | options
    clip, protocol, rest = asked.scoring(options)
    return score(rest.pop("model", Model()), Store(), clip, protocol, **rest)


def test_every_video_once_with_the_mean_of_its_views(loader):
    scores = run()
    assert scores.video_id.tolist() == [f"v{row}" for row in range(2, 9)]
    assert scores.label.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert scores.group.tolist() == ["g1", "g1", "g2", "g2", "g3", "g3", "g4"]
    assert scores.view_scores.shape == (7, 3, 3) and scores.view_scores.dtype == np.float32
    assert scores.video_scores.dtype == np.float32
    # the views of video v5 have 5/20, 6/20 and 7/20 for the first category
    assert scores.video_scores[3] == pytest.approx([0.3, 0.35, 0.35])
    assert scores.view_scores[3, :, 0] == pytest.approx([0.25, 0.3, 0.35])


@pytest.mark.parametrize("batch", [1, 4, 5, 21, 64])
def test_batch_size_changes_nothing_and_no_batch_is_partial(loader, batch):
    model = Model()
    scores = run(model=model, batch=batch)
    assert set(model.sizes) == {batch}
    np.testing.assert_array_equal(scores.video_scores, run(batch=7).video_scores)


def test_saved_scores_load_as_they_were(loader, tmp_path):
    scores = run(run_dir=tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["scores.npz", "views.npz"]
    with np.load(tmp_path / "run" / "scores.npz", allow_pickle=False) as file:
        assert {"video_id", "label", "categories", "video_scores"} <= set(file.files)
        assert file["video_scores"].dtype == np.float32
    with np.load(tmp_path / "run" / "views.npz", allow_pickle=False) as file:
        assert file.files == ["view_scores"] and file["view_scores"].dtype == np.float32
    loaded = Scores.load(tmp_path / "run")
    for name in Scores.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(scores, name), err_msg=name)


def test_a_second_save_gives_the_same_bytes(tmp_path):
    six().save(tmp_path / "a")
    six().save(tmp_path / "b")
    for name in ("scores.npz", "views.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    six().save(tmp_path)
    before = (tmp_path / "scores.npz").read_bytes()
    monkeypatch.setattr(np, "savez", lambda file, **arrays: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        six(video_id=list("uvwxyz")).save(tmp_path)
    assert (tmp_path / "scores.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_listed_videos_that_the_store_lacks_are_missing(loader):
    listed = Store().videos[["video_id", "category", "split", "group"]]
    more = pd.DataFrame(
        {
            "video_id": ["lost", "other"],
            "category": ["wave", "bow"],
            "split": ["val", "test"],
            "group": ["g9", "g9"],
        }
    )
    scores = run(listed=pd.concat([listed, more]))
    assert scores.missing_id.tolist() == ["lost"]
    assert scores.missing_label.tolist() == [2] and scores.missing_group.tolist() == ["g9"]
    assert len(scores.video_id) == 7


def test_longer_videos_may_have_more_views(loader):
    def drop(batches):  # video v8 has one view instead of three
        batches[-1] = {key: value[:-2] for key, value in batches[-1].items()}

    loader["spoil"] = drop
    scores = run(batch=7)
    assert np.isnan(scores.view_scores[-1, 1:]).all()
    assert not np.isnan(scores.view_scores[:-1]).any()
    assert scores.video_scores[-1, 0] == pytest.approx(8 / 20)


def lose_a_view(batches):
    batches[0] = {key: value[1:] for key, value in batches[0].items()}


def repeat_a_view(batches):
    batches[0]["view"][1] = 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(lose_a_view, "lost views; the first is 'v2'"), (repeat_a_view, "view 0 of video 'v2'")],
)
def test_a_lost_or_repeated_view_is_an_error(loader, spoil, message):
    loader["spoil"] = spoil
    with pytest.raises(ScoreError, match=message):
        run()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([2.0, -1.0, 0.0], "no probabilities: sum 1, least -1"),
        ([0.9, 0.9, 0.9], "'v2' are no probabilities: sum 2.7"),
        ([np.nan, 0.5, 0.5], "no probabilities: sum nan"),
        ([0.5, 0.5], "the store has 3 categories"),
    ],
)
def test_outputs_that_are_no_probabilities_are_an_error(loader, output, message):
    model = Model()
    model.predict_on_batch = lambda clips: np.tile(output, (len(clips), 1))
    with pytest.raises(ScoreError, match=message):
        run(model=model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [0, 0, 1, 1, 1]}, "label has the shape"),
        ({"label": [0, 0, 1, 1, 1, 3]}, "expected 0 to 2"),
        ({"video_id": list("aacdef")}, "'a' of 'bow' is listed more than once"),
        ({"missing_id": ["f"], "missing_label": [2]}, "'f' of 'wave' is listed more than once"),
        ({"video_scores": np.ones((6, 2))}, "video_scores has the shape"),
        ({"view_scores": np.ones((6, 3))}, "view_scores has the shape"),
    ],
)
def test_scores_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(ScoreError, match=message):
        six(**changes)


def test_one_file_name_in_two_categories_is_two_videos():
    assert six(video_id=list("abacde")).video_id.tolist() == list("abacde")


def test_a_run_without_scores_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no scores\.npz; score the run first"):
        Scores.load(tmp_path)


class Each(Model):
    """Gives each of two labels a probability of its own."""

    def __init__(self, most=1.0):
        super().__init__(2)
        self.most = most

    def predict_on_batch(self, clips):
        row, view = clips[:, 0, 0, 0, 0].astype(float), clips[:, 0, 0, 0, 1].astype(float)
        return self.most * np.stack([(row + view) / 20, 1 - row / 20], axis=1)


def test_of_several_labels_each_is_a_class(loader, tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "categories", ["bow", "bow|clap", "clap"])
    scores = run(model=Each(), run_dir=tmp_path)
    assert scores.categories.tolist() == ["bow", "clap"] and scores.several
    assert scores.video_scores[3] == pytest.approx([0.3, 0.75])  # means of the views
    assert scores.targets[[0, 3, 5]].tolist() == [[True, False], [True, True], [False, True]]
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as file:
        assert file["label_sets"].tolist() == Store.categories
    with pytest.raises(ScoreError, match="the store has 2 labels"):
        run(model=Model())
    with pytest.raises(ScoreError, match="classifier_activation='sigmoid'"):
        run(model=Each(most=2.0))
