"""Flat options of a test, as the loader's and the scorer's own arguments."""

import dataclasses

from harlib.data import Augmentation, ClipSpec, Protocol


def training(options):
    """The ClipSpec, the Augmentation and what is left of the options."""
    return _taken(options, ClipSpec, Augmentation)


def scoring(options):
    """The ClipSpec, the Protocol and what is left of the options."""
    return _taken(options, ClipSpec, Protocol)


def _taken(options, *kinds):
    left, made = dict(options), []
    for kind in kinds:
        names = {field.name for field in dataclasses.fields(kind)} & set(left)
        made.append(kind(**{name: left.pop(name) for name in names}))
    return *made, left
