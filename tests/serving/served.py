"""A server in a thread of the test, and requests to it."""

import contextlib
import http.client
import json
import threading


@contextlib.contextmanager
def served(function, *arguments, **options):
    """Runs `serve` or `serve_predictor` until the block ends: the `Serving`, and its lines."""
    found, failed, lines, there = [], [], [], threading.Event()

    def ready(serving):
        found.append(serving)
        there.set()

    def run():
        try:
            function(*arguments, ready=ready, say=lines.append, **options)
        except BaseException as error:
            failed.append(error)
        finally:
            there.set()

    thread = threading.Thread(target=run)
    thread.start()
    there.wait(60)
    try:
        assert found, failed
        yield found[0], lines
    finally:
        if found:
            found[0].stop()
        thread.join(30)
    assert not thread.is_alive() and not failed


def ask(serving, method, path, body=None, headers=None):
    """(status, text, headers) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def line(text):
    """The error of an answer of the interface, which is one line."""
    assert text.count("\n") == 1 and text.endswith("\n"), text
    error = json.loads(text)["error"]
    assert "\n" not in error and "Traceback" not in error
    return error
