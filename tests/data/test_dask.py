import shutil

import pytest
from stores import digests, make
from test_audit import write_or_crash

from harlib.data.catalog.catalog import Catalog
from harlib.data.store import prepare as preparing


@pytest.fixture
def cluster():
    """A scheduler and two workers over loopback."""
    distributed = pytest.importorskip("dask.distributed", reason="extra cluster is not installed")
    import dask

    # by default a task is held guilty when four workers died of it, which only takes longer
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster


def test_a_video_that_crashes_the_decoder_is_a_line_of_the_audit(
    tiny_catalog, cluster, tmp_path, monkeypatch
):
    frame = tiny_catalog.frame.copy()
    shutil.copy(frame["path"][1], tmp_path / "bad.mp4")
    frame.loc[1, "path"] = str(tmp_path / "bad.mp4")
    catalog = Catalog(frame, "squares")
    monkeypatch.setattr(preparing, "write_part", write_or_crash)
    address = cluster.scheduler_address
    videos = make(catalog, tmp_path / "store", scheduler=address).videos
    assert videos["status"].tolist() == ["ok", "unreadable", *["ok"] * 6]
    assert videos["reason"][1] == "the decoder crashed (SIGSEGV)"
    make(catalog, tmp_path / "local", workers=2)  # finds the same
    assert digests(tmp_path / "store") == digests(tmp_path / "local")
