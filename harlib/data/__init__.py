"""From video files to batches of clips."""
