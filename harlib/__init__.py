"""harlib: human action recognition in videos, from files to reports."""

import os

from harlib import machine

# Both before TensorFlow is first imported. Its start-up chatter drowns a notebook's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
machine.use_onednn()

__version__ = "0.1.0"
