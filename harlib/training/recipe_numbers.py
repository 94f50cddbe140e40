"""The numbers of the recipes by name, each with its source; reading them takes no framework."""

from collections.abc import Mapping
from typing import Any

_STUDY = "the study's own notebooks (tf.keras 2.1)"
_HARA = "Hara et al., CVPR 2018, github.com/kenshohara/3D-ResNets-PyTorch, branch CVPR2018"

_RECIPES = {
    "study-adam": {
        "source": _STUDY + ": Adam 1e-4, lowered by hand to 5e-5 and 1e-5 when the loss saturated",
        "optimizer": "adam",
        "lr": 1e-4,
        "levels": (1.0, 0.5, 0.1),
        "level_rule": "window",
        "patience": 3,
        "gain": 0.01,
    },
    "study-sgd": {
        "source": _STUDY + ": SGD lr 0.1, momentum 0.9, decay 0.001 = a learning-rate decay",
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "decay": 0.001,
    },
    "hara-sgd": {
        # Theirs: lr 0.1, momentum 0.9, dampening 0.9, weight decay 1e-3. Dampening scales each
        # gradient by 1 - 0.9, so lr is 0.1 · 0.1; Keras' L2 gradient is 2 · l2 · w.
        "source": _HARA,
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
        "rate_in_velocity": False,
        "l2": 5e-4,
        "levels": tuple(10.0**-k for k in range(8)),  # PyTorch stops at 1e-8 of lr 0.1
        "level_rule": "best",
        "monitor": "val_loss",
        "patience": 10,
        "gain": 1e-4,
    },
    "tran-sgd": {
        # Their batches hold 30 clips. 16 epochs, a tenth after every 4: quarters of the run.
        "source": "Tran et al., ICCV 2015, section 3.1, UCF101 from scratch (arXiv:1412.0767)",
        "optimizer": "sgd",
        "lr": 0.003,
        "momentum": 0.9,
    },
    "modern": {
        "source": "AdamW (Loshchilov & Hutter, arXiv:1711.05101) with warm-up, cosine "
        "(arXiv:1608.03983), label smoothing (arXiv:1512.00567), mixup (arXiv:1710.09412) and an "
        "average of the weights (arXiv:1803.05407)",
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.05,
        "cosine": True,
        "label_smoothing": 0.1,
        "mix": "mixup",
        "clip_norm": 1.0,
    },
    # For networks that know something already: their early stages are kept, or move little.
    "finetune-head": {
        "source": "a new head on a network that is kept as it is (Donahue et al., DeCAF, ICML "
        "2014), by AdamW along a cosine",
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "cosine": True,
        "clip_norm": 1.0,
    },
    "finetune-gradual": {
        "source": "head, then last stage, then all, with rates by stage (Howard & Ruder, ULMFiT, "
        "ACL 2018, arXiv:1801.06146), by AdamW along a cosine",
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.01,
        "cosine": True,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
    },
}

# The weights are averaged over this share of a run, at its end: torchvision's references
# (classification/train.py, which took it from pycls) set 1 - ema so that the average spans
# 50,000 clips an epoch, of ImageNet's 1,281,167. A constant such as 0.999 spans 1,000 steps, more
# than a short run has. The share is rounded to 1 / 25.
_AVERAGED_SHARE = 0.04


def names() -> list[str]:
    """The recipes' names."""
    return list(_RECIPES)


def numbers(
    name: str, overrides: Mapping[str, Any], *, steps_per_epoch: int, epochs: int
) -> dict[str, Any]:
    """The fields of `Recipe` that recipe `name` sets for a run of `epochs`; `overrides` win."""
    values: dict[str, Any] = dict(_RECIPES[name])
    if name == "tran-sgd":
        quarters = {max(1, round(epochs * q / 4)) for q in (1, 2, 3)}
        values["drop_epochs"] = tuple(sorted(q for q in quarters if q < epochs))
    if name == "modern":
        values["warmup_epochs"] = min(5.0, 0.1 * epochs)
        values["ema"] = max(0.0, 1 - 1 / (_AVERAGED_SHARE * epochs * steps_per_epoch))
    values.update({k: tuple(v) if isinstance(v, list) else v for k, v in overrides.items()})
    return values


def length_in(name: str, overrides: Mapping[str, Any] | None = None) -> str:
    """What of the recipe depends on the number of epochs, as a clause; empty where nothing does.

    Where nothing does, the epochs of a short run are the first ones of a longer run, bit by bit.

    >>> length_in("modern"), length_in("study-adam")
    ('its learning rate follows a cosine to the last epoch', '')
    """
    short, long = (
        numbers(name, overrides or {}, steps_per_epoch=100, epochs=epochs) for epochs in (8, 16)
    )
    if short.get("cosine"):
        return "its learning rate follows a cosine to the last epoch"
    if name == "finetune-gradual":
        return "its stages begin to learn at shares of the run"
    if "drop_epochs" in short and short["drop_epochs"] != long["drop_epochs"]:
        return "its learning rate falls after each quarter of the run"
    changed = [key for key in short if short[key] != long[key]]
    return f"its {' and '.join(changed)} follow from the number of epochs" if changed else ""
