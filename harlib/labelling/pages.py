"""The page of `har label`: a video in a loop, and a key for each category."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harlib import HarlibError, templates
from harlib.inference import preview
from harlib.labelling.session import Session
from harlib.serving import server

SHOWN_S = 60.0
"""Seconds of a video that are shown."""


class _Label(server.Handler):
    """What all addresses share."""

    def initialize(self, session: Session, copies: Copies) -> None:
        self.session, self.copies = session, copies

    def asked(self, *keys: str) -> list[Any]:
        """Values of the body's JSON.

        Raises:
            HarlibError: one is missing or of another kind.
        """
        content = self.json()
        wanted = {"video": int, "label": str}
        for key in keys:
            if not isinstance(content, dict) or not isinstance(content.get(key), wanted[key]):
                raise HarlibError('the body must be as {"video": 3, "label": "walking"}')
        return [content[key] for key in keys]


class _Page(_Label):
    def get(self) -> None:
        table = self.session.labels.path.name
        self.finish(
            templates.render("label.html.j2", nonce=self.nonce, table=table, seconds=SHOWN_S)
        )


class _State(_Label):
    def get(self) -> None:
        self.say(self.session.state())


class _Add(_Label):
    async def post(self) -> None:
        self.say(await asyncio.to_thread(self.session.label, *self.asked("video", "label")))


class _Skip(_Label):
    async def post(self) -> None:
        self.say(await asyncio.to_thread(self.session.skip, *self.asked("video")))


class _Undo(_Label):
    async def post(self) -> None:
        self.say(await asyncio.to_thread(self.session.undo))


class _Video(_Label):
    async def get(self, number: str) -> None:
        content = await asyncio.to_thread(self.copies.of, int(number))
        self.set_header("Content-Type", "video/mp4")
        self.finish(content)


class Copies:
    """Small copies of the videos, made when they are first shown."""

    def __init__(self, videos: tuple[str, ...], folder: Path) -> None:
        self._videos, self._folder, self._lock = videos, folder, threading.Lock()

    def of(self, number: int) -> bytes:
        """The copy of a video, an mp4.

        Raises:
            HarlibError: there is no such video, or it cannot be read.
        """
        if number >= len(self._videos):
            raise HarlibError(f"there is no video {number}")
        copy = self._folder / f"{number}.mp4"
        with self._lock:  # one after the other: each takes all cores
            if not copy.is_file():
                preview.write(self._videos[number], copy, most_s=SHOWN_S)
        return copy.read_bytes()


def serve(
    session: Session,
    *,
    port: int,
    token: str | None = None,
    ready: Callable[[server.Serving], object] | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serves the page on this machine until Ctrl-C, to those who know the token where one is given.

    Raises:
        HarlibError: the port is taken, or the token is too short.
    """
    with tempfile.TemporaryDirectory(prefix="har-label-") as folder:
        own = {"session": session, "copies": Copies(session.seen.videos, Path(folder))}
        pages = {
            "/": _Page,
            "/api/state": _State,
            "/api/label": _Add,
            "/api/skip": _Skip,
            "/api/undo": _Undo,
            r"/api/video/([0-9]{1,9})": _Video,
        }
        routes = [(path, handler, own) for path, handler in pages.items()]
        server.serve(routes, port=port, token=token, ready=ready, say=say)
