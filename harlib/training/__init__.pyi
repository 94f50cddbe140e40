from . import distributed, finetune, precision, preflight, recipes, watchers
from .fit import fit
from .recipe import Recipe

__all__ = [
    "Recipe",
    "distributed",
    "finetune",
    "fit",
    "precision",
    "preflight",
    "recipes",
    "watchers",
]
