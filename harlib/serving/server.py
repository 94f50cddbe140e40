"""A web server for one's own machine: who may ask, what its pages may load, where it listens.

`serve` answers by subclasses of `Handler`, which lets nobody in who should not be.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import functools
import hmac
import ipaddress
import json
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import tornado.httpserver
import tornado.httputil
import tornado.netutil
import tornado.web

from harlib import HarlibError
from harlib.text import size

LOOPBACK = "127.0.0.1"
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{8,}")
_LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")  # names of this machine in a page's address
_LINGER_S = 10.0  # so long what comes after a refusal is still read: see `Handler.refuse`
_ENDLESS = 1 << 62  # for tornado, whose own limit answers with nothing; `Handler.limit` counts


class Refused(tornado.web.HTTPError):
    """A request that is answered with a line that says why.

    Args:
        status: of HTTP, as 413.
        line: what came, what is wrong, what would be right.
        retry_s: after so many seconds it may be asked again.
    """

    def __init__(self, status: int, line: str, *, retry_s: int | None = None) -> None:
        super().__init__(status)
        self.line, self.retry_s = line, retry_s


@tornado.web.stream_request_body
class Handler(tornado.web.RequestHandler):
    """Answers one address; `get`, `post` and so on are those of tornado's `RequestHandler`.

    Before them it asks for the token, where there is one; refuses what other web sites' pages send,
    and names of this machine that are not its own (DNS rebinding); and gathers at most `limit`
    bytes of a body in `body`. A `HarlibError` or `Refused` is answered with its line, below `/api/`
    as `{"error": line}`; any other error without a word about the program.

    Its pages load nothing from elsewhere: a script needs `nonce="{{ nonce }}"` of `self.nonce`.

    Attributes:
        limit: bytes of a body that are accepted.
        body: what came of it.
    """

    limit = 1 << 20

    def prepare(self) -> Awaitable[None] | None:
        """Who may ask, before a body is read."""
        self.body = bytearray()
        self._refusal: Refused | None = None
        self._deadline = 0.0
        try:
            self._admit()
            length = self.request.headers.get("Content-Length", "")
            if re.fullmatch("[0-9]+", length) and int(length) > self.limit:
                raise self.too_large(int(length))
        except Refused as refused:
            self.refuse(refused)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A part of the body; `receive` gets those of a request that was not refused."""
        if self._refusal is None:
            try:
                self.receive(chunk)
            except Refused as refused:
                self.refuse(refused)
        elif time.monotonic() > self._deadline:
            self._fail(self._refusal)  # closes the connection
        return None

    def receive(self, chunk: bytes) -> None:
        """Keeps a part of the body in `body`; a handler of large ones has its own.

        Raises:
            Refused: more came than `limit`.
        """
        if len(self.body) + len(chunk) > self.limit:
            raise self.too_large()
        self.body += chunk

    def too_large(self, length: int | None = None) -> Refused:
        """What is said of a body above the limit; `length`: what its header claims."""
        came = "more" if length is None else size(length)
        return Refused(413, f"{came} came, and at most {size(self.limit)} are taken")

    def refuse(self, refused: Refused) -> None:
        """Answers so, once the rest of the body has come, or 10 seconds have passed.

        Whoever is still sending would see a closed connection in place of the answer. One that
        waits to be asked (curl) is answered at once.
        """
        headers = self.request.headers
        sending = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
        if not sending or headers.get("Expect") == "100-continue" and not self.body:
            self._fail(refused)
            return

        def answer(*_: str) -> None:
            raise refused

        self.body.clear()
        self._refusal, self._deadline = refused, time.monotonic() + _LINGER_S
        setattr(self, str(self.request.method).lower(), answer)

    def _fail(self, error: Refused) -> None:
        self.send_error(error.status_code, exc_info=(Refused, error, None))

    def json(self) -> Any:
        """The body's JSON.

        Raises:
            Refused: it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(400, f"the body is no JSON: {error}") from None

    def say(self, content: Any) -> None:
        """Answers with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")

    @functools.cached_property
    def nonce(self) -> str:
        """By which this page's scripts are known to be its own."""
        return secrets.token_urlsafe(16)

    def _admit(self) -> None:
        """Lets the request in.

        Raises:
            Refused: it may not ask.
        """
        own = self.settings
        host = self.request.headers.get("Host", "")
        if own["loopback"] and urlsplit(f"//{host}").hostname not in _LOCAL:
            raise Refused(403, f"{host!r} is not this machine: open {own['address']}")
        origin = self.request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if self.request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            link = self.request.headers.get("Sec-Fetch-Mode") == "navigate"  # a person followed it
            foreign |= not (link and self.request.method == "GET")
        if foreign:
            raise Refused(403, "another web site's page asks: only this server's own may")
        if own["token"] is not None and not self._knows(own["token"]):
            raise Refused(
                401,
                "the token is missing or wrong: open the address that the server printed, or send "
                "the header Authorization: Bearer TOKEN",
            )

    def _knows(self, token: str) -> bool:
        """Whether the request has the token; that of an address is moved into a cookie."""
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(given.strip(), token):
            return True
        cookie = f"har_{self.settings['port']}"  # a browser sends it to every port of a machine
        if _same(self.get_cookie(cookie) or "", token):
            return True
        if self.request.method != "GET" or not _same(self.get_query_argument("token", ""), token):
            return False
        self.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return True

    def set_default_headers(self) -> None:
        """What a browser may do with the answer: load from here alone, show in no other page."""
        self.clear_header("Server")
        for name, value in {
            "Content-Security-Policy": f"default-src 'none'; script-src 'nonce-{self.nonce}'; "
            "style-src 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
            "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One line, as JSON below `/api/`, else as text."""
        error = kwargs.get("exc_info", (None, None))[1]
        line = f"{status_code} {tornado.httputil.responses.get(status_code, 'Unknown')}"
        if isinstance(error, HarlibError):
            self.set_status(400)
            line = " ".join(str(error).split())
        elif isinstance(error, Refused):
            line = error.line
            if error.retry_s is not None:
                self.set_header("Retry-After", str(error.retry_s))
            if status_code == 401:
                self.set_header("WWW-Authenticate", 'Bearer realm="har"')
        if self.request.path.startswith("/api/"):
            self.say({"error": line})
        else:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(line + "\n")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Faults of the program go to the server's own log; what was answered is none."""
        if not isinstance(value, HarlibError):
            super().log_exception(typ, value, tb)


class _Missing(Handler):
    """What is at no address."""

    def prepare(self) -> Awaitable[None] | None:
        super().prepare()
        if self._refusal is None and not self._finished:
            self.refuse(Refused(404, f"nothing is at {self.request.path[:200]}"))
        return None


@dataclasses.dataclass(frozen=True)
class Serving:
    """A server that listens.

    Attributes:
        address: to open in a browser, with the token where there is one.
        port: where it listens.
        stop: ends it; may be called from any thread.
    """

    address: str
    port: int
    stop: Callable[[], None]


def serve(
    routes: Sequence[tuple[str, type[Handler]] | tuple[str, type[Handler], dict[str, Any]]],
    *,
    host: str = LOOPBACK,
    port: int = 0,
    token: str | None = None,
    ready: Callable[[Serving], object] | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serves until Ctrl-C, or until SIGTERM ends the program with status 143.

    Args:
        routes: (pattern of the path, handler) or with a dictionary of its `initialize` arguments.
        host: address that it listens at. One that other machines reach needs a token.
        port: 0 for a free one.
        token: that requests must know; a random one is made where one is needed.
        ready: called once it listens, from inside the server's loop.
        say: gets the line with the address.

    Raises:
        HarlibError: the port is taken, the host is not this machine's, or the token is too short.
        SystemExit: SIGTERM came; the server is closed.
    """
    for _, handler, *_ in routes:
        if not issubclass(handler, Handler):
            raise TypeError(f"{handler.__name__} lets everybody in: derive it from Handler")
    if token is not None and not _TOKEN.fullmatch(token):
        raise HarlibError(
            "the token must have at least 8 characters, of letters, digits and - . _ ~ alone"
        )
    sockets = _listen(host, port)
    try:
        number = asyncio.run(_serve(sockets, routes, host, token, ready, say))
    finally:
        for one in sockets:
            one.close()
    if number == signal.SIGTERM:
        raise SystemExit(128 + number)


async def _serve(
    sockets: list[socket.socket],
    routes: Sequence[Any],
    host: str,
    token: str | None,
    ready: Callable[[Serving], object] | None,
    say: Callable[[str], object],
) -> int:
    """Serves; the signal that ended it, or 0."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    port = sockets[0].getsockname()[1]
    loopback = all(ipaddress.ip_address(s.getsockname()[0]).is_loopback for s in sockets)
    if not loopback and token is None:
        token = secrets.token_urlsafe(16)
    shown = host if host not in ("", "0.0.0.0", "::") else socket.gethostname()
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    application = tornado.web.Application(
        [*routes],
        default_handler_class=_Missing,
        log_function=lambda handler: None,
        loopback=loopback,
        token=token,
        port=port,
        address=address,
    )
    server = tornado.httpserver.HTTPServer(
        application, max_body_size=_ENDLESS, idle_connection_timeout=300
    )
    server.add_sockets(sockets)
    received: list[int] = []

    def stop(number: int = 0) -> None:
        received.append(number)
        end.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    handled = sys.platform != "win32" and threading.current_thread() is threading.main_thread()
    for number in signals if handled else ():
        loop.add_signal_handler(number, stop, number)
    opened = address if token is None else f"{address}?token={token}"
    try:
        say(f"Listening at {opened} (Ctrl-C ends it)")
        if ready is not None:
            ready(Serving(opened, port, lambda: loop.call_soon_threadsafe(stop) and None))
        await end.wait()
    finally:
        for number in signals if handled else ():
            loop.remove_signal_handler(number)
        server.stop()
        await server.close_all_connections()
    return received[0]


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        return tornado.netutil.bind_sockets(port, address=host)
    except socket.gaierror:
        raise HarlibError(f"{host!r} is no address: give one of this machine's, as 0.0.0.0") from (
            None
        )
    except OSError as error:
        why = {
            errno.EADDRINUSE: f"port {port} is taken, by another har perhaps: name another one, or "
            "--port 0 for any that is free",
            errno.EACCES: f"port {port} is for administrators: take one from 1024 on",
            errno.EADDRNOTAVAIL: f"{host} is not this machine's address: give one that is, or "
            f"{LOOPBACK}",
        }.get(error.errno or 0, f"nothing can listen at {host}, port {port}: {error.strerror}")
        raise HarlibError(why) from None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())
