"""harlib: human action recognition in videos, from files to reports."""

import os

# Before TensorFlow is first imported: its start-up chatter drowns a notebook's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"
