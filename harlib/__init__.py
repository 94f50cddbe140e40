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
# The kernel's thread that reads it ends: at the kernel's end it would be waited for in vain.
if getattr(sys.stderr, "_should_watch", False):
    sys.stderr._should_watch = False  # type: ignore[union-attr]
    os.write(2, b"\0")  # wakes the thread
    os.dup2(sys.stderr._original_stdstream_copy, 2)  # type: ignore[union-attr]

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
