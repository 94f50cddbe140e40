"""Built networks: exact counts, the table of layers, small inputs, saving."""

import keras
import numpy as np
import pytest
import shallow

from harlib import models
from harlib.models import resnet3d
from harlib.models.weights import published

SLIM = {
    "c3d": {"width": 0.125, "dense": 16},
    "c3d_bn": {"width": 0.125, "dense": 16},
    "resnext3d_26": {"width": 0.125, "cardinality": 4},
    "r3d_18": {"width": 0.125},
    "r3d_50": {"width": 0.125, "shortcut": "A"},
    "mc3_18": {"width": 0.125},
    "r2plus1d_18": {"width": 0.125},
    "s3d": {"width": 0.125},
    "mvit_v2_s": {"width": 1 / 12},
    "swin3d_t": {"width": 1 / 4},
    "videomae_s": {"width": 1 / 8, "heads": 4},
    "x3d_xs": {"width": 1 / 3},
    "i3d_r50": {"width": 0.125},
    "frame_cnn": {"backbone": "small", "width": 0.5},
    "efficientnet_lite0": {"width": 0.25},
}
# name, classes: trainable parameters, GMACs of a 16 x 112 x 112 clip.
GOLDEN = [
    # Tran et al.: 27,655,936 in convolutions, 8192 * 4096 and 4096 * 4096 in fc6 and fc7
    ("c3d", 101, 78_409_573, 38.547),
    ("c3d", 487, 79_991_015, 38.549),
    # VMZ: no convolution biases, gamma and beta instead, pool5 rounds down: fc6 reads 4608
    ("c3d_bn", 400, 64_957_264, 38.534),
    # Hara et al.; 48.75 M at 600 classes in Efficient-3DCNNs' table
    ("resnext3d_101", 400, 48_340_816, 9.568),
    ("resnext3d_101", 600, 48_750_616, 9.568),  # + 200 * 2049
    ("resnext3d_50", 400, 26_685_264, 7.452),
    ("resnext3d_26", 400, 15_783_248, 5.878),
    # Hara's 7x7x7 stem; blocks, shortcuts and classifier are 33,343,120 of it
    ("r3d_18", 400, 33_409_104, 8.308),
    # basic blocks (3, 4, 6, 3); 18 layers and (1, 2, 4, 1) blocks more: 30,309,632
    ("r3d_34", 400, 63_718_736, 12.696),
    ("r3d_50", 400, 47_018_576, 10.069),
    # torchvision's counts of parameters and multiply-adds
    ("mc3_18", 400, 11_695_440, 43.343),
    # torchvision's count: filters between a pair's convolutions chosen once a block
    ("r2plus1d_18", 400, 31_505_325, 40.519),
]
# The same of a 16 x 224 x 224 clip.
GOLDEN_224 = [
    # torchvision's counts, of multiply-adds too, which include those of the attention
    ("s3d", 400, 8_320_048, 17.979),
    ("mvit_v2_s", 400, 34_537_744, 64.224),
    ("swin3d_t", 400, 28_158_070, 43.882),
    # the authors' tables: 22 M and 57 GFLOPs, 87 M and 180 GFLOPs
    ("videomae_s", 400, 22_033_936, 56.878),
    ("videomae_b", 400, 86_534_800, 180.345),
]


# PyTorchVideo's: the clip that they were trained on, and one of the size they are tested at, whose
# GMACs are those of its table where that counts as is done here (X3D's counts more, C2D's and
# I3D's 0.43 more).
VIDEO = [
    ("x3d_xs", 4, {160: 0.605, 182: 0.841}, 3_794_274),
    ("x3d_s", 13, {160: 1.963, 182: 2.725}, 3_794_274),
    ("x3d_m", 16, {224: 4.732, 256: 6.183}, 3_794_274),
    ("slow_r50", 8, {224: 41.741, 256: 54.518}, 32_454_096),
    ("c2d_r50", 8, {224: 19.493, 256: 25.460}, 24_327_632),
    ("i3d_r50", 8, {224: 28.408, 256: 37.104}, 28_043_472),
    ("slowfast_r50", 32, {224: 50.309, 256: 65.709}, 34_566_488),
    # 4,652,008 at 1,000 classes, 4.7 M in the authors' table; of its 407 M the convolutions' 384
    ("efficientnet_lite0", 1, {224: 0.384}, 3_883_408),
]


def slim(name, classes=4, *, frames=16, size=48, **options):
    return models.build(name, classes, frames=frames, size=size, **SLIM[name] | options)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def clips():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 48, 48, 3), "uint8")


@pytest.mark.parametrize(
    ("name", "classes", "parameters", "gmacs", "size"),
    [(*row, 112) for row in GOLDEN] + [(*row, 224) for row in GOLDEN_224],
)
def test_published_size(name, classes, parameters, gmacs, size):
    model = models.build(name, classes, size=size)
    assert models.parameters(model) == parameters
    assert models.gmacs(model) == pytest.approx(gmacs, abs=6e-4)


@pytest.mark.parametrize(("name", "frames", "gmacs", "parameters"), VIDEO)
def test_published_size_of_pytorchvideos(name, frames, gmacs, parameters):
    for size, wanted in gmacs.items():
        model = models.build(name, 400, frames=frames, size=size)
        assert models.parameters(model) == parameters
        assert models.gmacs(model) == pytest.approx(wanted, abs=6e-4)


@pytest.mark.quick
def test_slowfast_wants_a_multiple_of_four_frames():
    with pytest.raises(ValueError, match="frames=30: .* such as 28"):
        models.build("slowfast_r50", 4, frames=30)


def test_stem_of_tran():
    # torchvision's r3d_18 at 400 classes: 7x7x7 becomes 3x7x7, and nothing is pooled
    model = models.build("r3d_18", 400, stem="tran")
    assert models.parameters(model) == 33_371_472 == 33_409_104 - 4 * 7 * 7 * 3 * 64
    assert models.gmacs(model) == pytest.approx(40.697, abs=6e-4)
    assert model.get_layer("preprocess").mean[0] == pytest.approx(0.43216 * 255)


@pytest.mark.quick
def test_middle_of_a_factored_convolution():
    # torchvision's of the four stages' first blocks, by hand: 64*64*27 / (64*9 + 3*64) = 144
    cases = {(64, 64): 144, (64, 128): 230, (128, 256): 460, (256, 512): 921}
    assert {pair: resnet3d.middle_filters(*pair) for pair in cases} == cases


@pytest.mark.quick
def test_the_table_lists_every_network_as_it_is():
    table = published.table()
    assert tuple(table.name) == models.names()
    golden = {(name, classes, 112): counts for name, classes, *counts in GOLDEN}
    golden |= {(name, classes, 224): counts for name, classes, *counts in GOLDEN_224}
    video = {name: (frames, gmacs, n) for name, frames, gmacs, n in VIDEO}
    for row in table[table.name != "frame_cnn"].itertuples():
        if row.name in video:
            frames, gmacs, n = video[row.name]
            assert (row.frames, row.size) == (frames, min(gmacs))
            assert (row.parameters, row.gmacs) == (n, gmacs[row.size])
            continue
        assert row.frames == 16
        assert golden[row.name, row.classes, row.size] == [row.parameters, row.gmacs]
    lines = published.text().splitlines()
    assert len(lines) == 2 * len(table)
    assert "48.34 M" in published.text() and "68.30" in published.text()


@pytest.mark.quick
@pytest.mark.parametrize("name", SLIM)
def test_scores_are_float32_probabilities(name, clips):
    model = slim(name)
    scores = np.asarray(model(clips))
    assert scores.shape == (2, 4) and scores.dtype == "float32"
    assert np.allclose(scores.sum(1), 1, atol=1e-5)
    # Of the logits: an untrained network's softmax may saturate, alike for both clips.
    logits = np.asarray(slim(name, classifier_activation=None)(clips))
    assert np.abs(logits[0] - logits[1]).max() > 1e-3 * np.abs(logits).max()
    assert model.get_layer("preprocess").input.dtype == "uint8"


@pytest.mark.parametrize("name", SLIM)
@pytest.mark.parametrize(("frames", "size"), [(1, 8), (2, (16, 24))])
def test_small_clips_do_not_vanish(name, frames, size):
    if name == "videomae_s":  # whose smallest clip is one token
        frames, size = 2, 16
    model = slim(name, frames=frames, size=size)
    assert all(0 not in layer.output.shape for layer in model.layers)
    assert models.describe(model).iloc[-1].layer in ("classifier", "mean_over_frames")


@pytest.mark.parametrize("name", SLIM)
def test_saved_model_scores_the_same_after_loading(name, clips, tmp_path, monkeypatch):
    shallow.shorten(monkeypatch)
    model = slim(name)
    model.compile("sgd", "sparse_categorical_crossentropy")
    loss = model.train_on_batch(clips, np.array([0, 3]))
    assert np.isfinite(loss)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(clips), model(clips))


@pytest.mark.quick
def test_layers_are_named_by_stage_and_block():
    model = slim("resnext3d_26")
    table = models.describe(model)
    assert list(table.columns) == ["stage", "layer", "kernel", "output", "parameters"]
    assert table.stage.unique().tolist() == [
        "input",
        "stem",
        "stage1",
        "stage2",
        "stage3",
        "stage4",
        "head",
    ]
    row = table.set_index("layer").loc["stage2_block1_conv2"]
    assert row.kernel == "3x3x3, 32 in 4 groups, stride 2"
    assert row.output == "4x6x6x32"
    assert row.parameters == 27 * 8 * 32
    assert table.parameters.sum() == models.parameters(model)


@pytest.mark.quick
def test_multiply_adds_count_positions_and_frames():
    # 8 convolutions and the dense layer of one frame, times frames
    one, many = (models.gmacs(slim("frame_cnn", frames=frames)) for frames in (1, 8))
    assert many == pytest.approx(8 * one)
    sizes, widths = (48, 24, 12, 6), (8, 16, 32, 64)
    before = (3, *widths)
    by_hand = sum(
        9 * size**2 * (before[i] + width) * width
        for i, (size, width) in enumerate(zip(sizes, widths, strict=True))
    )
    assert one == pytest.approx((by_hand + 64 * 4) / 1e9)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["c3d", "frame_cnn"])
def test_new_classifier_keeps_the_features(name, clips):
    old = slim(name)
    new = models.replace_classifier(old, 7)
    assert new.output.shape == (None, 7)
    kept, again = (m.get_layer("classifier").input for m in (old, new))
    features = [np.asarray(keras.Model(m.inputs, x)(clips)) for m, x in ((old, kept), (new, again))]
    assert np.array_equal(*features)


@pytest.mark.quick
def test_frame_cnn_goes_from_stills_to_videos(clips):
    stills = slim("frame_cnn", frames=1)
    videos = models.replace_classifier(stills, 6, frames=16)
    assert videos.output.shape == (None, 6)
    one = models.replace_classifier(videos, 6, frames=1)
    one.get_layer("classifier").set_weights(videos.get_layer("classifier").get_weights())
    frames = [np.asarray(one(clips[:, [i]])) for i in range(16)]
    assert np.allclose(videos(clips), np.mean(frames, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="only a frame CNN"):
        models.replace_classifier(slim("c3d"), 6, frames=8)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("c3dd", {}, "'c3dd' is unknown; it is one of frame_cnn, efficientnet_lite0, c3d,"),
        ("c3d", {"widht": 2}, "widht"),
        ("c3d", {"preprocessing": "none"}, "preprocessing='none' is unknown"),
        ("c3d", {"preprocessing": "residual", "frames": 1}, "1 frame has no residual frames"),
        ("resnext3d_26", {"width": 0.25}, "does not divide .* filters of stage"),
        ("r3d_34", {"shortcut": "C"}, "shortcut='C' is unknown; it is one of A, B"),
        ("swin3d_t", {"width": 1 / 12}, "8 channels, which do not divide into 3 heads"),
        ("r3d_18", {"stem": "tram"}, "stem='tram' is unknown; it is one of hara, tran"),
        ("frame_cnn", {"backbone": "resnet51"}, "resnet50"),
        ("frame_cnn", {"backbone": "small", "weights": "imagenet"}, "no imagenet weights"),
    ],
)
def test_wrong_arguments_are_named(name, options, message):
    if name == "resnext3d_26":
        options = options | {"cardinality": 24}
    with pytest.raises(ValueError, match=message):
        models.build(name, 4, size=48, **options)


@pytest.mark.quick
def test_one_class_is_refused():
    with pytest.raises(ValueError, match="classes=1"):
        models.build("c3d", 1)
