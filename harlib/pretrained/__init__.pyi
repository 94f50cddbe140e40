from . import commands, published
from .fetch import fetch
from .published import Pretrained, find, names

__all__ = ["Pretrained", "commands", "fetch", "find", "names", "published"]
