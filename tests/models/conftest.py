"""What tests of networks share."""

import parity_table
import pytest


@pytest.fixture
def same(record_property):
    """same(network, {check: difference}) fails where a network is not its original's.

    The differences of all tests are the table that `make parity` prints.
    """

    def check(network, found):
        found = {name: float(difference) for name, difference in found.items()}
        record_property("parity", (network, found))
        too_large = {n: d for n, d in found.items() if not d <= parity_table.ALLOWED[n]}
        assert not too_large, network

    return check
