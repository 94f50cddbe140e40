"""From video files to batches of clips."""

import logging

# Grain warns at import that JAX, which it does not need, is not installed.
logging.getLogger("absl").addFilter(lambda record: "jax profiler" not in record.getMessage())
