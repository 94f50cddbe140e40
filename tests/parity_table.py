"""Networks beside their originals: network x check -> largest difference (`make parity`)."""

import math
from collections.abc import Iterable

COLUMNS = {
    "clip": "clip, of 255", "logits": "logits", "gradients": "gradients", "folded": "folded",
    "loaded": "saved, loaded", "exported": "exported", "jax": "JAX", "torch": "PyTorch",
}  # fmt: skip
# A share of the largest logit or gradient; of a clip, the mean over its pixels of 0 to 255.
ALLOWED = {check: 1e-4 for check in COLUMNS} | {"clip": 2.0, "gradients": 1e-3}


def markdown(found: Iterable[tuple[str, dict[str, float]]]) -> str:
    """The table of (network, {check: difference}), of several the largest; "–" where none was."""
    largest: dict[str, dict[str, float]] = {}
    for network, differences in found:
        row = largest.setdefault(network, {})
        for check, difference in differences.items():
            before = row.get(check, 0.0)
            row[check] = math.nan if math.isnan(difference + before) else max(before, difference)
    lines = [["network", *COLUMNS.values()], ["---"] * (1 + len(COLUMNS))]
    for network, row in sorted(largest.items()):
        lines.append([network, *(_cell(check, row.get(check)) for check in COLUMNS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(check: str, difference: float | None) -> str:
    if difference is None:
        return "–"
    return f"{difference:.1f}" if check == "clip" else f"{difference:.0e}"
