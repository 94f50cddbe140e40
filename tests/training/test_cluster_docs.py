"""What docs/cluster.md tells schedulers is what the code reads."""

import re
from pathlib import Path

import pytest
import yaml

from harlib.training.distributed import cluster

pytestmark = pytest.mark.quick
PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()


def test_the_kubernetes_manifest_tells_all_that_is_needed():
    manifest = re.search(r"```yaml\n(.*?)```", PAGE, re.S).group(1)
    service, job = yaml.safe_load_all(manifest)
    spec = job["spec"]["template"]["spec"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert spec["subdomain"] == service["metadata"]["name"]
    environ = {item["name"]: item["value"] for item in spec["containers"][0]["env"]}
    found = cluster.find(environ | {"JOB_COMPLETION_INDEX": "1"})
    assert found.process == 1 and found.processes == job["spec"]["completions"]
    # The pods' host names are <job>-<index>, below the service's name.
    assert found.host == f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert "--cluster" in spec["containers"][0]["command"]


def test_the_ports_of_the_page_are_the_code_s():
    assert f"{cluster.PORT} and {cluster.PORT + 1}" in PAGE
