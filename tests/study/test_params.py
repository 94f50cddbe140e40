"""Parameters: every file of the project is right, every mistake is named with its remedy."""

from pathlib import Path

import pytest

import harlib
from harlib import shipped
from harlib.study.params import notebooks, trained
from harlib.study.params.notebooks import ParamsError
from harlib.study.runs import open_notebook, study_files

pytestmark = pytest.mark.quick
STUDIES = sorted(path for path in (shipped.FOLDER / "params").iterdir() if path.is_dir())
FOLDER = "source: folder\ndata_root: params\nvideos: .\n"
LABELS = Path(harlib.__file__).parent / "pretrained" / "kinetics400.txt"


@pytest.fixture
def own_data(tmp_path):
    """A data_root with everything that the studies of own videos ask for."""
    for name in ("videos", "clips_80x64"):
        (tmp_path / name).mkdir()
    for name in ("train.csv", "val.csv", "validate.csv"):
        (tmp_path / name).touch()
    return {"data_root": str(tmp_path)}


def needs_data(folder):
    """Whether a study reads its user's videos: the drawn ones take no data_root."""
    return "data_root=FOLDER" in (folder / "common.yaml").read_text()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Writes files of a study; returns its folder."""
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = tmp_path / "params" / "tiny"
    folder.mkdir(parents=True)

    def write(**contents):
        for name, text in contents.items():
            file = name if name == "common" else f"{name[1:3]}{name[3:]}"
            (folder / f"{file.replace('__', '.')}.yaml").write_text(text)
        return folder

    return write


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_every_params_file_is_valid(folder, own_data):
    runs = study_files.load_study(folder, own_data if needs_data(folder) else {})
    names = [run.name for run in runs]
    for place, run in enumerate(runs):  # in order, and behind what each builds on
        needs = notebooks.NOTEBOOKS[run.notebook].needs
        assert not any(name.startswith(needs) for name in names[place + 1 :] if needs)
    others = [name for name in names if not name.startswith("05")]
    assert others == sorted(others)
    assert {run.params.study for run in runs} == {folder.name}
    for path in folder.glob("*.yaml"):
        assert path.read_text().startswith("# "), f"{path.name} does not say what it claims"


def test_recipe_options_of_every_file_fit_their_recipe(own_data):
    from harlib.training import recipes

    for folder in STUDIES:
        for run in study_files.load_study(folder, own_data if needs_data(folder) else {}):
            if isinstance(run.params, trained.Trained) and run.params.takes_steps:
                recipes.build(
                    run.params.recipe,
                    steps_per_epoch=10,
                    epochs=run.params.epochs,
                    **run.params.recipe_options,
                )


@pytest.mark.parametrize(("study", "count"), [("kinetics400-15", 15), ("kinetics400-27", 27)])
def test_kinetics_subsets_are_named_as_kinetics_names_them(study, count, own_data):
    data = study_files.load_study(study_files.study_folder(study), own_data)[0].params
    assert len(set(data.categories)) == count
    assert set(data.categories) <= set(LABELS.read_text().splitlines())


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"_03_c3d": "epocs: 3"}, ["params/tiny/03_c3d.yaml", "'epocs'", "'epochs'"]),
        ({"_03_c3d": "epochs: ten"}, ["params/tiny/03_c3d.yaml", "'epochs'", "'ten'"]),
        ({"_03_c3d": "epochs: 0"}, ["params/tiny/03_c3d.yaml", "'epochs'", "0"]),
        ({"_03_c3d": "model: c3dd"}, ["'model'", "'c3d'", "'c3dd'"]),
        ({"_03_c3d": "data_root: nowhere"}, ["03_c3d.yaml", "'data_root'", "'nowhere'"]),
        ({"_02_frame_cnn": "stills: nowhere"}, ["02_frame_cnn.yaml", "'stills'", "'nowhere'"]),
        ({"_01_data_prep": "source: kinetics"}, ["'source'", "--set data_root=FOLDER"]),
        ({"common": "epochs: 3", "_01_data_prep": ""}, ["params/tiny/common.yaml", "'epochs'"]),
        ({"_03_c3dd": ""}, ["03_c3dd.yaml", "'03_c3dd'", "'03_c3d'"]),
        ({"_03_c3d": "", "_common2": ""}, ["NN_name[.variant].yaml"]),
        ({"_03_c3d": "- a"}, ["03_c3d.yaml", "list"]),
        ({"_03_c3d": "a: [b"}, ["03_c3d.yaml", "not YAML"]),
        ({"_03_c3d": "run: ../up"}, ["'run'", "'../up'"]),
        ({"_03_c3d": "mix: mixxup"}, ["'mix'", "'mixup'", "'mixxup'"]),
        (
            {"_03_c3d": "balanced: true\nclass_weights: balanced"},
            ["'class_weights'", "balanced: true", "give one"],
        ),
        ({"_03_c3d": "batch: 9\ndevices: 2"}, ["'devices'", "9 clips"]),
        ({"_01_data_prep": "data_root: params"}, ["'source'", "'demo'", "'params'", "leave data_"]),
        ({"_01_data_prep": "group: '(a)'"}, ["'group'", "source: folder", "'demo'"]),
        ({"_01_data_prep": "held_out: [a]"}, ["'held_out'", "source: folder"]),
        ({"_01_data_prep": "annotations: [a.csv]"}, ["'annotations'", "source: kinetics"]),
        ({"_01_data_prep": FOLDER + "group: (IMG"}, ["'group'", "unterminated", "'(IMG'"]),
        ({"_01_data_prep": FOLDER + "group: IMG"}, ["'group'", "has no (…)", "'IMG'"]),
        (
            {"_01_data_prep": FOLDER.replace("videos: .", "videos: tiny/01_data_prep.yaml")},
            ["'videos'", "a folder"],
        ),
        ({"_03_c3d": "seed: 4294967296"}, ["'seed'", "less than 4294967296"]),
        ({"_03_c3d": "crops: 4"}, ["'crops'", "1, 3 or 5", "4"]),
        ({"_03_c3d": "split: vall"}, ["'split'", "'train', 'val' or 'test'", "'vall'"]),
        (
            {"_03_c3d": "checkpoint: best\nvalidate_split: ''"},
            ["'checkpoint'", "set validate_split"],
        ),
        ({"_03_c3d": "frames: 99999999999"}, ["'frames'", "less than or equal to 10000"]),
        ({"_03_c3d": "size: 1.0e+9"}, ["'size'", "1 to 8192 pixels"]),
        ({"_03_c3d": "size: [64, 64, 64]"}, ["'size'", "[height, width]"]),
        ({"_03_c3d": "size: 8000\nframes: 900"}, ["'size'", "172.8 GB per clip", "2.1 GB"]),
        ({"_03_c3d": "width: .inf"}, ["'width'", "finite"]),
        ({"_03_c3d": "color: .nan"}, ["'color'", "finite"]),
        ({"_03_c3d": "crops: 2"}, ["'crops'", "1, 3 or 5"]),
        ({"_03_c3d": "weights: imagenet"}, ["'weights'", "the frame CNN alone"]),
        ({"_01_data_prep": "store_size: 99999"}, ["'store_size'", "1 to 8192 pixels"]),
        ({"_03_c3d": f"model: {'x' * 999}"}, ["'model'", "xxx..."]),
    ],
)
def test_a_mistake_is_named_with_file_key_and_remedy(tiny, contents, words):
    with pytest.raises(ParamsError) as caught:
        study_files.load_study(tiny(**contents))
    for word in words:
        assert word in str(caught.value)


def test_all_mistakes_of_a_study_are_told_at_once(tiny):
    with pytest.raises(ParamsError) as caught:
        study_files.load_study(tiny(_03_c3d="epocs: 3", _05_evaluation="runs: 3"))
    assert "03_c3d.yaml" in str(caught.value)
    assert "05_evaluation.yaml" in str(caught.value)


def test_an_override_reaches_the_runs_that_have_its_key(tiny):
    folder = tiny(_01_data_prep="", _03_c3d="epochs: 3", _03_c3d__long="epochs: 9")
    runs = study_files.load_study(folder, study_files.parse_overrides(["epochs=2", "seed=7"]))
    assert [run.name for run in runs] == ["01_data_prep", "03_c3d", "03_c3d.long"]
    assert [run.params.seed for run in runs] == [7, 7, 7]
    assert [run.params.epochs for run in runs[1:]] == [2, 2]


def test_an_override_that_no_run_knows_is_an_error(tiny):
    with pytest.raises(ParamsError, match="--set epohcs.*'epochs'"):
        study_files.load_study(tiny(_03_c3d=""), {"epohcs": 2})


def test_an_override_of_another_notebook_says_whose_it_is(tiny):
    folder = tiny(_01_data_prep="")
    with pytest.raises(ParamsError, match="a parameter of 02_frame_cnn, 03_c3d.*is 01_data_prep"):
        study_files.load_study(folder, {"epochs": 2})


def test_an_override_reaches_the_runs_that_are_asked_for_alone(tiny, tmp_path):
    folder = tiny(_02_frame_cnn="backbone: inception_resnet_v2", _03_c3d="")
    with pytest.raises(ParamsError, match="03_c3d|weights"):
        study_files.load_study(folder, {"weights": "imagenet"})
    _, runs = study_files.chosen(str(folder), {"weights": "imagenet"}, ("02_frame_cnn",))
    assert [run.params.weights for run in runs] == ["imagenet", ""]
    # the flags of the whole study, given for a part of it
    _, runs = study_files.chosen(str(folder), {"backbone": "small", "seed": 3}, ("03_c3d",))
    assert [run.params.seed for run in runs] == [0, 3]
    with pytest.raises(ParamsError, match="no run 02_frame in tiny; there are 02_frame_cnn, 03"):
        study_files.chosen(str(folder), {"weights": "imagenet"}, ("02_frame",))


def test_numbers_that_yaml_reads_as_text_become_numbers(tiny):
    text = "color: 1e-1\nrecipe_options: {lr: 1e-3, drop_epochs: [5]}"
    (run,) = study_files.load_study(tiny(_03_c3d=text))
    assert run.params.color == 0.1
    assert run.params.recipe_options == {"lr": 1e-3, "drop_epochs": [5]}


def test_a_running_notebook_reads_its_plain_variables(tiny):
    tiny()
    values = study_files.defaults("05_evaluation")
    noise = {"In": ["x = 1"], "Out": {}, "_": 3, "_i1": "", "pytest": pytest, "f": len}
    assert open_notebook.read("05_evaluation", values | noise)[0].confused == values["confused"]
    with pytest.raises(ParamsError, match="unknown key 'cofused'; nearest valid name: 'confused'"):
        open_notebook.read("05_evaluation", values | noise | {"cofused": 3})


FORM = "study = 'tiny'\nrun = {run!r}\nepochs: int\nbatch: int"


def running(*cells, run="03_c3d", **left):
    """The globals of a kernel that has run the parameters cell and these, and holds what is left"""
    sources = ["import harlib", FORM.format(run=run), *cells]
    namespace = {}
    for source in sources:
        exec(source.partition("p, told")[0], namespace)
    return (
        namespace
        | left
        | {"In": ["", *sources, "p, told = open_notebook.read('03_c3d', globals())"]}
    )


def test_a_notebook_takes_the_studys_file_and_what_its_cell_gives_wins(tiny):
    tiny(common="seed: 7", _03_c3d="epochs: 3\nbatch: 16")
    p, told = open_notebook.read("03_c3d", running("batch = 4"))
    assert (p.seed, p.epochs, p.batch, p.size) == (7, 3, 4, 48)
    assert str(told) == (
        "batch = 4 from this notebook; 1 value from params/tiny/common.yaml; "
        "1 value from params/tiny/03_c3d.yaml; the rest are defaults."
    )
    assert '<td class="text">epochs</td>' in told._repr_html_()


def test_the_weights_that_a_notebook_has_by_default_are_named(tiny):
    tiny(_03_c3d="epochs: 3")
    _, told = open_notebook.read("09_pretrained", {"study": "tiny", "run": "09_pretrained"})
    assert "values from the weights efficientnet_lite0/imagenet" in str(told)


def test_a_value_that_equals_the_default_still_wins_over_the_file(tiny):
    tiny(_03_c3d="batch: 16")
    assert open_notebook.read("03_c3d", running("batch = 32"))[0].batch == 32


def test_a_run_of_another_name_begins_from_its_own_file_or_the_notebooks(tiny):
    tiny(_03_c3d="epochs: 3", _03_c3d__long="epochs: 9")
    for run, epochs in (("03_c3d.long", 9), ("03_c3d.mine", 3)):
        p, _ = open_notebook.read("03_c3d", running(run=run))
        assert (p.run, p.epochs) == (run, epochs)


def test_what_later_cells_left_in_the_kernel_is_no_parameter(tiny):
    tiny(_03_c3d="epochs: 3")
    later = ("p, told = open_notebook.read('03_c3d', globals())", "best = 'a name'", "%timeit 3")
    namespace = running(epochs=50, best="a name", scratch=1)
    namespace["In"][-1:-1] = later[:1]
    namespace["In"] += later[1:]
    assert open_notebook.read("03_c3d", namespace)[0].epochs == 3
    with pytest.raises(ParamsError, match="this notebook: unknown key 'epohcs'.*'epochs'"):
        open_notebook.read("03_c3d", running("epohcs = 5"))


def test_the_notebooks_read_their_parameters_by_the_call_that_ends_them():
    for path in (shipped.FOLDER / "notebooks").glob("0[1-9]_*.ipynb"):
        assert "open_notebook.read(" in path.read_text()


def test_a_study_of_variants_alone_asks_for_one(tiny):
    tiny(_03_c3d__fold1="", _03_c3d__fold2="")
    with pytest.raises(ParamsError, match="no run '03_c3d' in tiny.*03_c3d.fold1, 03_c3d.fold2"):
        open_notebook.read("03_c3d", running())


def test_the_papermill_command_of_the_readme_is_a_run(monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(shipped.FOLDER))
    text = (shipped.FOLDER / "README.md").read_text()
    command = text.partition("bin/papermill ")[2].partition("```")[0].replace("\\\n", " ").split()
    assert (shipped.FOLDER / command[0]).is_file() and Path(command[0]).stem == "03_c3d"
    options = list(zip(command[2:], command[3:], command[4:] + [""], strict=False))
    given = [shipped.FOLDER / name for option, name, _ in options if option == "-f"]
    values = {name: value for option, name, value in options if option == "-p"}
    run = study_files.load_run(given, values)
    assert (run.notebook, run.params.study, run.name) == ("03_c3d", "demo", "03_c3d-by-hand")


def test_an_unknown_study_is_named_with_the_nearest():
    with pytest.raises(ParamsError, match="'demoo'; nearest valid name: 'demo'"):
        study_files.study_folder("demoo")


def test_background_is_of_segments_and_untrimmed_videos_are_drawn():
    params = notebooks.DataPrep
    assert params(study="s", run="01", untrimmed=True, background=2).background == 2
    with pytest.raises(ValueError, match="is of a table with start and end, and source is 'demo'"):
        params(study="s", run="01", background=1)
    with pytest.raises(ValueError, match="draws all categories: leave categories empty"):
        params(study="s", run="01", untrimmed=True, categories=["waving"])
    with pytest.raises(ValueError, match="is for source: demo; a table with start and end lists"):
        params(study="s", run="01", source="folder", data_root="x", untrimmed=True)
