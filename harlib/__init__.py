"""harlib: human action recognition in videos, from files to reports."""

import os

from harlib import machine

# Both before TensorFlow is first imported. Its start-up chatter drowns a notebook's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
machine.use_onednn()

__version__ = "0.1.0"


class HarlibError(ValueError):
    """What a person can mend; the message is one line: what came, what is wrong, what is right.

    `har` shows it without a traceback. Every other exception is a fault of the program.
    """
