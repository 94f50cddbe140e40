from . import distributed, finetune, precision, preflight, recipe_presets, watchers
from .fit import fit
from .recipe import Recipe

__all__ = [
    "Recipe",
    "distributed",
    "finetune",
    "fit",
    "precision",
    "preflight",
    "recipe_presets",
    "watchers",
]
