"""What the best model's card and the index say of its network, and how to use it."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from harlib.study.report import index, model_card

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
import hand_made_study

pytestmark = pytest.mark.quick


@pytest.fixture
def run(tmp_path):
    """A scored C3D at half width, frozen but for 10 parameters; it tells how its clips are made."""
    folder = tmp_path / "runs" / "mine" / "03_c3d"
    hand_made_study._model_run(folder, seed=0, skill=1.0)
    change(folder / "metrics.json", lambda about: (
        about["model"].update(name="c3d_bn", width=0.5, pixels="rgb", parameters=1000,
                              trainable=10),
        about["protocol"].update(stored={"fps": 8.0, "size": 56}, crop_scale=0.857),
    ))  # fmt: skip
    return folder


def change(file, how):
    about = json.loads(file.read_text())
    how(about)
    file.write_text(json.dumps(about))


def network(run):
    return dict(model_card.facts(run)["sections"])["The network"]


def test_the_card_says_what_a_clip_is_and_counts_what_was_trained(run):
    lines = network(run)
    assert lines[0].startswith(
        "c3d_bn, width 0.5, RGB frames, 16 × 48 × 48: 1,000 parameters, 10 of them trained; "
    )
    assert (
        "uint8 RGB (batch, frames, height, width, 3): 16 frames at 8 per second; short side "
        "brought to 56 pixels, then the middle 48 × 48 pixels" in lines[1]
    )
    assert model_card.facts(run)["title"].startswith("c3d_bn, width 0.5, RGB frames, 16 × 48 × 48")


@pytest.mark.parametrize(("checkpoint", "file"), [
    ("last", "model.keras"), ("best", "checkpoints/best.keras")
])  # fmt: skip
def test_the_card_names_a_path_that_exists(run, tmp_path, checkpoint, file):
    change(run / "metrics.json", lambda about: about["protocol"].update(checkpoint=checkpoint))
    assert network(run)[2:] == ["Its weights are not kept in its run's folder."]
    (run / file).parent.mkdir(exist_ok=True)
    (run / file).touch()
    load, elsewhere = network(run)[2:]
    (named,) = re.findall(r'load_model\("(.+?)"\)', load)
    assert (tmp_path / named).is_file()
    assert "Without harlib a keras file cannot be opened." in load
    option = " --checkpoint best" if checkpoint == "best" else ""
    assert f"har export runs/mine/03_c3d{option} --to onnx" in elsewhere
    assert "README.json" in elsewhere and "example" in elsewhere


def text(page):
    """A page's text, without its links."""
    return re.sub("<[^>]+>", "", page).replace("\u00a0", " ")


def test_index_and_card_leave_out_top_5_of_five_categories(run):
    page = index.write_index(run.parent).read_text()
    assert "top‑5" not in page and "Top-5" not in page  # hand_made_study has five categories
    assert (
        "The only scored run: 03_c3d (c3d_bn, width 0.5, RGB frames, 16 × 48 × 48) names the action"
        in text(page)
    )


def test_runs_that_are_equal_are_no_best_of(run):
    twin = run.with_name("03_c3d.twin")
    hand_made_study._model_run(twin, seed=0, skill=1.0)
    page = index.write_index(run.parent).read_text()
    assert "2 of 2 scored runs are equally good, among them: 03_c3d" in text(page)


def test_a_guess_inside_the_interval_is_said_on_the_index(run):
    change(run / "metrics.json", lambda about: about.update(majority=about["video"]["top1"]))
    page = index.write_index(run.parent).read_text()
    assert "lies within the interval: nothing shows that more was learned" in page


def test_a_run_of_an_earlier_version_is_still_read(run):
    def older(about):
        for key in ("width", "pixels", "trainable"):
            about["model"].pop(key)
        about["protocol"].pop("stored")
        about["video"]["top5"] = about["clip"]["top5"] = 1.0

    change(run / "metrics.json", older)
    params = yaml.safe_load((run / "params.yaml").read_text())
    (run / "params.yaml").write_text(yaml.safe_dump(params | {"model": "c3d_bn", "width": 0.5}))
    lines = network(run)
    assert lines[0].startswith("c3d_bn, width 0.5, RGB frames, 16 × 48 × 48: 1,000 parameters; ")
    assert "at a rate that is not known any more" in lines[1]
    assert "top‑5" not in index.write_index(run.parent).read_text()


def test_the_card_can_be_followed(run, tmp_path):
    card = model_card.facts(run)
    assert [name for name, _ in card["sections"]] == [
        "The network", "What it is for, and what not", "The data", "What it was taught",
        "How good it is", "Where it fails", "Licences",
    ]  # fmt: skip
    said = {name: " ".join(lines) for name, lines in card["sections"]}
    assert (
        "3.5 minutes by the clock on 2 cores (a processor), so at most 7.0 CPU minutes"
        in (said["What it was taught"])
    )
    assert "Its clip store is no longer there" in said["The data"]
    assert "harlib: Apache-2.0." in said["Licences"] and "random weights" in said["Licences"]
    assert (
        card["bibtex"].startswith("@software{harlib")
        and "@inproceedings{tran2015" in (card["bibtex"])
    )
    text = model_card.markdown(card)
    table = text.split("## Each category\n\n")[1].split("\n\n")[0].splitlines()
    assert table[0].startswith("| category | videos | accuracy | 95 % interval |")
    assert len(table) == 2 + len(hand_made_study.HOSTILE)
    assert not card["code"] and "```python" not in text  # its weights are not kept
    (run / "model.keras").touch()
    code = model_card.facts(run)["code"]
    compile(code, "card", "exec")
    assert '"runs/mine/03_c3d"' in code and "checkpoint" not in code


def test_the_card_beside_an_exported_network_names_that(run):
    (run / "model.keras").touch()
    card = model_card.facts(run, network="model/model.keras")
    assert 'network = "model/model.keras"' in card["code"]
    said = " ".join(dict(card["sections"])["The network"])
    assert 'load_model("model/model.keras")' in said and "not in the zip file" in said


def test_the_card_says_what_the_scored_videos_have_chosen(run):
    def said(name, run=run):
        return " ".join(dict(model_card.facts(run)["sections"])[name])

    assert "have chosen" not in said("How good it is")  # the only run, of its last epoch
    assert "whatever it is shown" in said("What it is for, and what not")
    hand_made_study._model_run(run.with_name("03_c3d.twin"), seed=1, skill=1.0)
    change(run / "metrics.json", lambda about: about["protocol"].update(checkpoint="best"))
    params = yaml.safe_load((run / "params.yaml").read_text()) | {"validate_split": "val"}
    (run / "params.yaml").write_text(yaml.safe_dump(params))
    assert "have chosen this run among 2 and its epoch, so" in said("How good it is")
    assert "threshold" not in said("How good it is")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.keras").touch()  # its scores tell a threshold
    assert "The temperature and the threshold come from these" in said("How good it is")
    assert "none of these" in said("What it is for, and what not")
    change(run / "metrics.json", lambda about: about["protocol"].update(split="test"))
    assert "have chosen" not in said("How good it is")


def test_the_card_says_to_which_side_its_confidence_is_off(run):
    said = " ".join(dict(model_card.facts(run)["sections"])["How good it is"])
    assert re.search(
        r"off by [\d.]+ points \(expected calibration error\)(: it is too|, of some)", said
    )


def prepared(run, *, source):
    """The run that made the store of `run`, from videos of `source`."""
    data = run.with_name("01_data_prep")
    hand_made_study._data_run(data)
    change(data / "data.json", lambda about: about.update(store_hash="0123456789ab"))
    params = yaml.safe_load((data / "params.yaml").read_text())
    (data / "params.yaml").write_text(yaml.safe_dump(params | {"source": source}))


def test_drawn_videos_have_the_licence_of_harlib_and_its_command(run):
    prepared(run, source="demo")
    card = model_card.facts(run)
    assert "The videos, drawn by harlib: Apache-2.0" in " ".join(dict(card["sections"])["Licences"])
    assert "har demo-data" in card["bibtex"]


def test_the_index_cites_the_networks_of_all_runs_and_lists_its_parts(run):
    other = run.with_name("04_resnext101")
    hand_made_study._model_run(other, seed=1, skill=1.0)
    change(other / "metrics.json", lambda about: about["model"].update(name="resnext3d_26"))
    params = yaml.safe_load((other / "params.yaml").read_text())
    (other / "params.yaml").write_text(yaml.safe_dump(params | {"pixels": "residual"}))
    page = index.write_index(run.parent).read_text()
    assert "tran2015learning" in page and "hara2018can" in page
    assert page.count("xie2017aggregated") == page.count("tao2020rethinking") == 1
    card = (run.parents[2] / "reports" / "mine" / "MODEL_CARD.md").read_text()
    assert ("tran2015learning" in card) != ("hara2018can" in card)  # its own network alone
    listed = page.split('aria-label="Contents"')[1].split("</nav>")[0]
    links = re.findall('href="#([^"]+)"', listed)
    assert {"card", "cite"} <= set(links)
    assert all(f'id="{link}"' in page for link in links)
    assert "until it was scored, on 2 cores (a processor)." in page


def test_the_card_says_where_weights_and_videos_come_from(run):
    weights = {"name": "x3d_s/kinetics400", "digest": "0" * 64, "licence": "MIT"}
    change(run / "run.json", lambda state: state.update(weights=weights))
    prepared(run, source="ucf101")
    card = model_card.facts(run)
    said = {name: " ".join(lines) for name, lines in card["sections"]}
    assert "The starting weights, x3d_s/kinetics400: MIT." in said["Licences"]
    assert "Source: UCF101, by its published lists." in said["The data"]
    assert "feichtenhofer2020x3d" in card["bibtex"] and "soomro2012ucf101" in card["bibtex"]
