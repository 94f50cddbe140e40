"""Who may ask a server, what it says of mistakes, and where it listens."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import tornado.web
from served import ask, line, served

from harlib import HarlibError
from harlib.serving import server
from harlib.serving.server import Handler, Refused, serve


class Echo(Handler):
    limit = 1000

    def get(self):
        self.finish("hello")

    def post(self):
        self.say(self.json())


class Failing(Handler):
    def get(self):
        kind = self.get_query_argument("kind")
        raise {
            "mend": HarlibError("one line\nand another"),
            "wait": Refused(503, "come again", retry_s=7),
            "fault": KeyError("a secret of the program"),
        }[kind]


ROUTES = [("/", Echo), ("/api/echo", Echo), ("/api/fail", Failing), ("/fail", Failing)]


@pytest.fixture(scope="module")
def local():
    with served(serve, ROUTES) as (serving, lines):
        assert lines == [f"Listening at {serving.address} (Ctrl-C ends it)"]
        assert serving.address == f"http://127.0.0.1:{serving.port}/"
        yield serving


def test_what_is_asked_is_answered(local):
    status, text, headers = ask(local, "GET", "/")
    assert (status, text) == (200, "hello")
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'nonce-")
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and "Server" not in headers
    again = ask(local, "GET", "/")[2]["Content-Security-Policy"]
    assert again != headers["Content-Security-Policy"]  # a nonce is used once
    assert ask(local, "POST", "/api/echo", '{"a": [1]}')[:2] == (200, '{"a": [1]}\n')


def test_mistakes_are_one_line(local):
    for method, path, body, status, words in (
        ("POST", "/api/echo", "{", 400, "the body is no JSON: "),
        ("POST", "/api/echo", b"0" * 1001, 413, "1.0 kB came, and at most 1.0 kB are taken"),
        ("POST", "/api/echo", b"0" * 30_000_000, 413, "30.0 MB came, and at most"),
        ("POST", "/api/echo", iter([b"0" * 600] * 9), 413, "more came, and at most 1.0 kB"),
        ("PUT", "/api/echo", b"0" * 30_000_000, 405, "PUT is not answered at /api/echo"),
        ("GET", "/api/none", None, 404, "nothing is at /api/none"),
        ("POST", "/api/none", b"0" * 30_000_000, 404, "nothing is at /api/none"),
        ("GET", "/api/fail?kind=mend", None, 400, "one line and another"),
        ("GET", "/api/fail?kind=wait", None, 503, "come again"),
        ("GET", "/api/fail?kind=fault", None, 500, "500 Internal Server Error"),
        ("GET", "/api/fail", None, 400, "400 Bad Request"),
    ):
        found, text, headers = ask(local, method, path, body)
        assert found == status, (path, text)
        assert line(text).startswith(words)
        assert headers.get("Retry-After") == ("7" if status == 503 else None)
    status, text, headers = ask(local, "GET", "/fail?kind=mend")
    assert (status, text) == (400, "one line and another\n")
    assert headers["Content-Type"].startswith("text/plain")
    assert ask(local, "GET", "/fail?kind=fault")[1] == "500 Internal Server Error\n"


def test_who_waits_to_be_asked_is_refused_at_once(local):
    """What curl does with a large file: it sends nothing, and nothing is waited for."""
    with socket.create_connection(("127.0.0.1", local.port), timeout=10) as link:
        link.sendall(
            b"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert link.recv(100).startswith(b"HTTP/1.1 413 ")


def test_who_sends_without_end_is_cut_off(local, monkeypatch):
    monkeypatch.setattr(server, "_LINGER_S", 0.0)
    with socket.create_connection(("127.0.0.1", local.port), timeout=10) as link:
        head = b"POST /api/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n"
        link.sendall(head + b"0")
        time.sleep(0.1)
        link.sendall(b"0")
        assert link.recv(100).startswith(b"HTTP/1.1 413 ")


def test_other_sites_pages_and_names_are_refused(local):
    own = f"127.0.0.1:{local.port}"
    for headers, status in (
        ({"Host": own}, 200),
        ({"Host": f"localhost:{local.port}"}, 200),
        ({"Host": "localhost:9999"}, 200),  # a tunnel
        ({"Host": f"evil.example:{local.port}"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[bad"}, 403),
        ({"Host": own, "Origin": f"http://{own}"}, 200),
        ({"Host": own, "Origin": "https://evil.example"}, 403),
        ({"Host": own, "Origin": "null"}, 403),
        ({"Host": own, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": own, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Host": own, "Sec-Fetch-Site": "same-origin"}, 200),
    ):
        assert ask(local, "GET", "/", headers=headers)[0] == status, headers
    crossing = {"Host": own, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(local, "POST", "/api/echo", "1", crossing)[0] == 403


def test_only_this_machine_reaches_it_unless_told_otherwise(local):
    def listening(port):
        every = psutil.Process().net_connections(kind="tcp")
        return {c.laddr.ip for c in every if c.status == "LISTEN" and c.laddr.port == port}

    assert listening(local.port) == {"127.0.0.1"}
    with served(serve, ROUTES, host="0.0.0.0") as (serving, lines):
        assert listening(serving.port) == {"0.0.0.0"}
        assert "?token=" in lines[0]  # made, since others reach it
        assert ask(serving, "GET", "/")[0] == 401
        assert ask(serving, "GET", "/nothing")[0] == 401  # nor is told what there is


def test_a_token(local):
    with served(serve, ROUTES, token="12345678") as (serving, _):
        assert serving.address.endswith("/?token=12345678")
        status, text, headers = ask(serving, "POST", "/api/echo", b"1" * 999_999)
        assert status == 401 and line(text).startswith("the token is missing or wrong: open the")
        assert headers["WWW-Authenticate"].startswith("Bearer")
        for wrong in ("", "Bearer", "Bearer 1234567", "Basic 12345678", "Bearer 12345678é"):
            assert ask(serving, "GET", "/", headers={"Authorization": wrong})[0] == 401
        assert ask(serving, "GET", "/", headers={"Authorization": "Bearer 12345678"})[0] == 200
        assert ask(serving, "GET", "/?token=wrong")[0] == 401
        assert ask(serving, "POST", "/api/echo?token=12345678", "1")[0] == 401  # a link is a GET
        status, _, headers = ask(serving, "GET", "/?token=12345678")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        shown = {"Cookie": cookie.partition(";")[0]}
        assert ask(serving, "POST", "/api/echo", "1", shown)[:2] == (200, "1\n")


def test_where_it_cannot_listen_is_said(local):
    for options, words in (
        ({"port": local.port}, f"port {local.port} is taken, by another har perhaps: name another"),
        ({"host": "192.0.2.1"}, "192.0.2.1 is not this machine's address: give one that is"),
        ({"host": "300.1.1.1"}, "'300.1.1.1' is no address"),
        ({"token": "short"}, "the token must have at least 8 characters"),
        ({"token": "with a space"}, "the token must have at least 8 characters"),
    ):
        with pytest.raises(HarlibError, match=words):
            serve(ROUTES, **options)
    with pytest.raises(TypeError, match="Open lets everybody in: derive it from Handler"):
        serve([("/", type("Open", (tornado.web.RequestHandler,), {}))])


PROGRAM = """
from harlib.serving.server import Handler, serve
try:
    serve([("/", Handler)])
finally:
    print("closed", flush=True)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly(number, status):
    started = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with contextlib.closing(started.stdout):
        assert started.stdout.readline().startswith("Listening at http://127.0.0.1:")
        os.kill(started.pid, number)
        assert started.stdout.readline() == "closed\n"
    assert started.wait(20) == status
    assert started.stderr.read() == ""
    started.stderr.close()
