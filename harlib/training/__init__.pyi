from . import distributed, finetune, precision, preflight, probe, recipes, watchers
from .fit import fit
from .recipe import Recipe

__all__ = [
    "Recipe",
    "distributed",
    "finetune",
    "fit",
    "precision",
    "preflight",
    "probe",
    "recipes",
    "watchers",
]
