"""How to cite, as BibTeX: every network's paper, the data, harlib itself."""

import re

import pandas as pd
import pytest

from harlib import pretrained, shipped
from harlib.study.wording import citations

pytestmark = pytest.mark.quick
NETWORKS = pd.read_csv(shipped.FOLDER / "harlib" / "models" / "weights" / "published.csv")


def fields(entry):
    assert entry.count("{") == entry.count("}") and entry.endswith("\n}")
    kind, key = re.match(r"@(\w+)\{([a-z]+\d{4}[a-z0-9]+|harlib),\n", entry).groups()
    return kind, key, dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.M))


@pytest.mark.parametrize("name", NETWORKS["name"])
def test_every_network_has_its_paper(name):
    kind, _, found = fields(citations.network(name))
    (printed,) = NETWORKS.loc[NETWORKS["name"] == name, "paper"]
    assert kind == "inproceedings" and f"{found['booktitle']} {found['year']}" in printed
    assert printed.startswith(found["author"].partition(",")[0])


def test_so_do_published_weights_and_data():
    for name in pretrained.names():
        assert fields(citations.paper(pretrained.find(name).paper))
    kind, key, found = fields(citations.data("kinetics"))
    assert (kind, key) == ("article", "kay2017the") and found["journal"].endswith("1705.06950")
    assert fields(citations.data("ucf101"))[2]["title"].startswith("{UCF101")
    assert citations.data("folder") == citations.network("of nobody") == ""
    assert "(har demo-data)" in citations.data("demo")
    assert "Soomro, Khurram and Zamir, Amir Roshan" in citations.data("ucf101")


def test_what_networks_are_built_on_has_a_paper():
    kind, key, found = fields(citations.method("residual frames"))
    assert (kind, key) == ("article", "tao2020rethinking") and "2001.05661" in found["journal"]
    assert fields(citations.method("grouped convolutions"))[1] == "xie2017aggregated"


def test_names_that_a_run_gives_its_network_are_known():
    inception = citations.network("frame_cnn (inception_resnet_v2)")
    assert inception == citations.network("frame_cnn") and "Szegedy" in inception
    assert citations.network("frame_cnn (small)") == ""  # harlib's own, of no paper
    assert fields(citations.harlib())[2]["version"]
    assert citations.licence() == "Apache-2.0"
