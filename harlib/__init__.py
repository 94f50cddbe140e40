"""harlib: human action recognition in videos, from files to reports."""

import os
import sys

from harlib import machine

# Both before TensorFlow is first imported. Its start-up chatter drowns a notebook's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
machine.use_onednn()

# A notebook's kernel shows in red what C++ code writes to the process's stderr, and TensorFlow
# writes some of it before it reads that level. It goes where a program's log belongs, the terminal
# of JupyterLab or a study's kernel.log; what Python itself writes to stderr stays in the cell.
if (_terminal := getattr(sys.stderr, "_original_stdstream_copy", None)) is not None:
    os.dup2(_terminal, 2)

__version__ = "0.1.0"


class HarlibError(ValueError):
    """What a person can mend; the message is one line: what came, what is wrong, what is right.

    `har` and notebooks show it without a traceback. Every other exception is a fault of the
    program.
    """

    def _render_traceback_(self) -> list[str]:  # asked by IPython
        return str(self).splitlines()


class MissingFile(HarlibError, FileNotFoundError):
    """A file or folder that is not there; the message says what makes it, or where it would be."""
