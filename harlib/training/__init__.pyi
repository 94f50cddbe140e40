from . import (
    distributed,
    finetune,
    precision,
    preflight,
    probe,
    recipe_numbers,
    recipes,
    resources,
    stopping,
    watchers,
)
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
    "recipe_numbers",
    "recipes",
    "resources",
    "stopping",
    "watchers",
]
