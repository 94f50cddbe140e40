"""VideoMAE: files of `transformers` and of the authors give the original's numbers here."""

import numpy as np
import parity
import pytest

from harlib import models
from harlib.models import videomae
from harlib.models.weights import checkpoints

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def transformers():
    return parity.import_transformers()


def make(transformers, frames, size, channels=32, blocks=2, heads=4, classes=5):
    """An original with random weights, whose norms' epsilons are those that it has by itself."""
    config = transformers.VideoMAEConfig(
        num_frames=frames, image_size=size, hidden_size=channels, num_hidden_layers=blocks,
        num_attention_heads=heads, intermediate_size=4 * channels, num_labels=classes,
    )  # fmt: skip
    return parity.scramble(transformers.VideoMAEForVideoClassification(config))


@pytest.fixture
def slim(monkeypatch):
    """Builds a network of 2 blocks of 32 channels in 4 heads."""
    monkeypatch.setitem(videomae.SIZES, "s", (32, 2, 4))

    def build(frames, size, **options):
        return models.build(
            "videomae_s", 5, frames=frames, size=size, classifier_activation=None, **options
        )

    return build


@pytest.mark.parametrize("clip", [(4, (32, 48)), (6, (64, 32))])
def test_videomae(clip, transformers, slim, tmp_path, same):
    original = make(transformers, *clip)
    original.save_pretrained(tmp_path)
    found = parity.check(
        slim(*clip), original, *IMAGENET, tmp_path, axes=(0, 1, 4, 2, 3),
        first="videomae.embeddings.patch_embeddings.projection.weight", last="classifier.weight",
        file=tmp_path / "model.safetensors",
    )  # fmt: skip
    same("videomae_s", found)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["videomae_s", "videomae_b"])
def test_videomae_at_full_size(name, transformers, tmp_path, same):
    channels, blocks, heads = videomae.SIZES[name[-1]]
    original = make(transformers, 16, 224, channels, blocks, heads)
    original.save_pretrained(tmp_path)  # under the names of the published files
    model = models.build(name, 5, frames=16, size=224, classifier_activation=None)
    found = parity.check(
        model, original, *IMAGENET, tmp_path, axes=(0, 1, 4, 2, 3),
        first="videomae.embeddings.patch_embeddings.projection.weight", last="classifier.weight",
        file=tmp_path / "model.safetensors",
    )  # fmt: skip
    same(name, found)


def of_the_authors(arrays):
    """The same weights under the names in the authors' files (`modeling_finetune.py`)."""
    names = {
        "videomae.embeddings.patch_embeddings.projection": "patch_embed.proj",
        "layernorm_before": "norm1", "layernorm_after": "norm2", "classifier": "head",
        "videomae.encoder.layer": "blocks", "attention.output.dense": "attn.proj",
        "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
        "attention.attention": "attn",
    }  # fmt: skip
    renamed = {}
    for name, array in arrays.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        renamed[name] = array
    for name in [name for name in renamed if name.endswith("query.weight")]:
        parts = [renamed.pop(name.replace("query", p)) for p in ("query", "key", "value")]
        renamed[name.replace("query", "qkv")] = np.concatenate(parts)
    return renamed


@pytest.mark.parametrize("key", ["model", "module"])
def test_the_authors_files_load_too(key, slim, tmp_path):
    torch = pytest.importorskip("torch")
    model, again = slim(4, 32), slim(4, 32)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(0.3 * rng.standard_normal(weight.shape))
    published = {one.name: one for one in checkpoints.parameters(model)}
    arrays = {
        name: np.asarray(one.variable).T if one.variable.ndim == 2 else np.asarray(one.variable)
        for name, one in published.items()
    }
    stem = "videomae.embeddings.patch_embeddings.projection.weight"
    arrays[stem] = np.moveaxis(arrays[stem], (-1, -2), (0, 1))
    theirs = of_the_authors(arrays)
    assert {"patch_embed.proj.weight", "blocks.1.attn.q_bias", "blocks.0.attn.qkv.weight",
            "blocks.0.mlp.fc1.bias", "fc_norm.weight", "head.bias"} < set(theirs)  # fmt: skip
    torch.save({key: {k: torch.tensor(a) for k, a in theirs.items()}}, tmp_path / "file.pth")
    assert checkpoints.load_published(again, tmp_path / "file.pth") == []
    for one, other in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(one, other), one.path


@pytest.mark.quick
@pytest.mark.parametrize(("clip", "options", "message"), [
    ((5, 32), {}, "5 x 32 x 32 does not divide"),
    ((4, (32, 40)), {}, "4 x 32 x 40 does not divide"),
    ((4, 32), {"heads": 5}, "32 channels do not divide into heads=5"),
])  # fmt: skip
def test_clips_that_are_no_tokens_are_refused(clip, options, message, slim):
    with pytest.raises(ValueError, match=message):
        slim(*clip, **options)
