"""A trained network's page and JSON interface: `har serve`."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.http1connection import HTTP1Connection

from harlib import pretrained
from harlib.data.catalog.names import printable
from harlib.run_folder import RunFolder
from harlib.serving import page
from harlib.serving.queue import Queue
from harlib.serving.server import LOOPBACK, Handler, Refused, Serving, check, serve
from harlib.serving.uploads import Upload, Uploads
from harlib.serving.worker import Worker

if TYPE_CHECKING:
    from harlib.inference import Predictor

_BODY_S = 1800.0  # a body that has not come within this does not come
_NAME = 200  # characters of a name that are shown


class _Page(Handler):
    """The page."""

    def initialize(self, about: dict[str, Any], limit: int, longest_s: float) -> None:
        self._facts = about, limit, longest_s

    def get(self) -> None:
        about, limit, longest_s = self._facts
        self.finish(page.whole(about, self.nonce, limit, longest_s))


class _Model(Handler):
    """What the network is."""

    def initialize(self, about: dict[str, Any]) -> None:
        self._about = about

    def get(self) -> None:
        self.say(self._about)


class _Predict(Handler):
    """A video as the body; what the network says of it as JSON.

    With `progress=1`, lines of JSON as it goes on: `{"before": videos before it}`, then
    `{"answer": …}` or `{"error": …}`. It is what the page asks.
    """

    def initialize(self, queue: Queue, uploads: Uploads, limit: int) -> None:
        self._queue, self._uploads, self.limit = queue, uploads, limit
        self._upload: Upload | None = None
        self._asked: asyncio.Future[dict[str, Any]] | None = None
        self._entered = False

    def prepare(self) -> Awaitable[None] | None:
        super().prepare()
        if self.refused or self.request.method != "POST":
            return None
        try:
            self._begin()
        except Refused as refused:
            self.refuse(refused)
        return None

    def _begin(self) -> None:
        """Makes room for the video.

        Raises:
            Refused: too many wait, the body is a form, or the disk is full.
        """
        if self.request.headers.get("Content-Type", "").startswith("multipart/"):
            raise Refused(415, "a form came: send the file itself as the body (curl -T FILE)")
        self._queue.enter()
        self._entered = True
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        connection.set_body_timeout(_BODY_S)
        try:
            self._upload = self._uploads.new(self._name)
        except OSError as error:
            raise Refused(507, f"the server cannot keep the video: {error.strerror}") from None

    @property
    def _name(self) -> str:
        return printable(self.get_query_argument("name", "video")[:_NAME])

    def receive(self, chunk: bytes) -> None:
        upload = self._upload
        if upload is None:
            return super().receive(chunk)
        if upload.size + len(chunk) > self.limit:
            self._over()
            raise self.too_large()
        try:
            upload.write(chunk)
        except OSError as error:
            self._over()
            raise Refused(507, f"the server cannot keep the video: {error.strerror}") from None
        return None

    async def post(self) -> None:
        upload = self._upload
        assert upload is not None  # `prepare` made it, or refused
        if not upload.size:
            raise Refused(400, "the body is empty: send a video's file (curl -T FILE)")
        upload.finish()
        shown = self.get_query_argument("progress", "") == "1"
        job = {
            "path": str(upload.path),
            "name": self._name,
            "page": shown,
            "gradcam": shown or self.get_query_argument("gradcam", "") == "1",
        }
        if shown:
            self.set_header("Content-Type", "application/x-ndjson; charset=utf-8")
        self._asked = asyncio.ensure_future(
            self._queue.ask(job, self._moved if shown else lambda before: None)
        )
        try:
            said = await self._asked
        except asyncio.CancelledError:
            return  # the client is gone, or the server ends
        finally:
            self._over()
        if shown:
            self.finish(json.dumps(said.get("answer") or {"error": said["error"]}) + "\n")
        elif "error" in said:
            raise Refused(said["status"], said["error"])
        else:
            self.say(said["answer"])

    def _moved(self, before: int) -> None:
        """Tells the page its place."""
        if not self._finished and self._asked is not None and not self._asked.done():
            self._tell(before)

    def _tell(self, before: int) -> None:
        self.write(json.dumps({"before": before}) + "\n")
        self.flush()

    def _over(self) -> None:
        """The video is needed no longer."""
        if self._upload is not None:
            self._upload.remove()
        if self._entered:
            self._entered = False
            self._queue.leave()

    def on_finish(self) -> None:
        self._over()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._over()
        if self._asked is not None:
            self._asked.cancel()


def serve_network(
    source: str | Path,
    checkpoint: str = "last",
    threshold: float | None = None,
    **options: Any,
) -> None:
    """Serves what `inference.load` takes; see `serve_predictor`, whose `options` these are.

    Args:
        checkpoint: as of `inference.load`.
        threshold: instead of the one that validation videos chose.
    """
    load = functools.partial(_load, str(source), checkpoint, threshold)
    serve_predictor(load, licence=_licence(source), **options)


def _load(source: str, checkpoint: str, threshold: float | None) -> Predictor:
    from harlib import inference  # in the worker alone: seconds, and memory

    found = inference.load(source, checkpoint=checkpoint)
    return inference.asking.judged(found, threshold)


def _licence(source: str | Path) -> str:
    """Of the published weights that the network is, or began with; else "".

    Of what a person trained from nothing nobody but that person can say it.
    """
    if str(source) in pretrained.names():
        return pretrained.find(str(source)).licence
    folder = RunFolder(Path(source))
    if not folder.params.is_file():
        return ""
    return (folder.read_state().get("weights") or {}).get("licence", "")


def serve_predictor(
    load: Callable[[], Predictor],
    *,
    licence: str = "",
    host: str = LOOPBACK,
    port: int = 0,
    token: str | None = None,
    limit: int = 200_000_000,
    longest_s: float = 600.0,
    most: int = 32,
    limit_s: float = 600.0,
    ready: Callable[[Serving], object] | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serves a network's page and JSON interface until Ctrl-C.

    Args:
        load: gives the predictor, in a process of its own: what can be pickled.
        licence: of the network's weights.
        host, port, token, ready, say: as of `server.serve`.
        limit, longest_s: bytes and seconds of a video that is taken.
        most: requests at once, those that are still being sent among them.
        limit_s: seconds that a video may take to look at.

    Raises:
        HarlibError: the network cannot be loaded, or as `server.serve`.
    """
    worker = Worker(load, longest_s, licence, limit_s)
    queue = Queue(worker, most)
    try:
        check(host, port, token)
        worker.start()
        about = worker.about
        say(f"{about['run']}: {len(about['categories']):,} categories")
        if about["note"]:
            say(about["note"])
        with Uploads() as uploads:
            routes: list[Any] = [
                ("/", _Page, {"about": about, "limit": limit, "longest_s": longest_s}),
                ("/api/model", _Model, {"about": about}),
                ("/api/predict", _Predict, {"queue": queue, "uploads": uploads, "limit": limit}),
            ]
            serve(routes, host=host, port=port, token=token, ready=ready, say=say)
    finally:
        queue.close()
