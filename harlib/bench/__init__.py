"""Measured beside peers: reading clips, training networks, batch sizes. Ratios within one run."""
