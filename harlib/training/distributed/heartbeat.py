"""The processes of one training keep an eye on each other: when one dies, the others end.

Without it they would wait for the dead one in the middle of a step, some for minutes and without a
word about who is missing.
"""

import contextlib
import os
import re
import socket
import sys
import threading
import time
import traceback

BEAT_S = 1.0  # between two signs of life
PATIENCE_S = 30.0  # without one, a process (or its machine, or the network) is taken for dead
EXIT_STATUS = 70
_GREETING_S = 10.0  # within which a process says its name
_GREETING = re.compile(r"process (\d{1,6}) \([^\n]*\)")
_LONGEST = 400  # bytes of a greeting


class Peers:
    """Connections of process 0 with each other process; a broken one ends this process.

    Process 0 listens on `port` of its address `host` ("": of all of them), the others connect to
    it; who does not greet as one of them is not listened to. A process that ends as planned says
    so with `leave`.

    Raises:
        TimeoutError: not all processes came within `wait_s` seconds; the message names them.
    """

    def __init__(
        self, host: str, port: int, processes: int, process: int, wait_s: float = 300.0
    ) -> None:
        self.process = process
        self.names = {process: f"process {process} ({socket.gethostname()}, pid {os.getpid()})"}
        self._over = threading.Event()
        self._left: set[int] = set()
        self._closed = threading.Semaphore(0)  # one for each peer whose connection ended as planned
        self._links: dict[int, socket.socket] = {}
        deadline = time.monotonic() + wait_s
        if process:
            self._links[0] = _connect(host, port, deadline, f"process {process}")
            self._links[0].sendall(f"{self.names[process]}\n".encode())
            self._links[0].settimeout(max(_GREETING_S, deadline - time.monotonic()))
            self.names[0] = _line(self._links[0])
        else:
            self._accept(host, port, processes, deadline)
        self._lock = threading.Lock()
        # The thread that knows why this process ends keeps it: what ends the others comes back as
        # their silence, and must not be told instead.
        self._last_word = threading.RLock()
        parent = os.getppid()
        for number, link in self._links.items():
            # Process 0 beats once all have come, which may take the last one as long as allowed.
            link.settimeout(max(PATIENCE_S, deadline - time.monotonic()) if process else PATIENCE_S)
            threading.Thread(target=self._listen, args=(number, link), daemon=True).start()
        threading.Thread(target=self._beat, args=(parent,), daemon=True).start()

    def _accept(self, host: str, port: int, processes: int, deadline: float) -> None:
        with socket.create_server((host, port)) as server:
            while len(self._links) < processes - 1:
                server.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    here = set(self._links) | {0}
                    absent = ", ".join(str(n) for n in range(processes) if n not in here)
                    raise TimeoutError(f"these processes did not come: {absent}") from None
                link.settimeout(_GREETING_S)
                try:
                    name = _line(link)
                    greeting = _GREETING.fullmatch(name)
                    number = int(greeting[1]) if greeting else 0
                    if not 0 < number < processes or number in self._links:
                        raise ValueError(name)
                    link.sendall(f"{self.names[0]}\n".encode())
                except (OSError, ValueError):  # none of ours
                    link.close()
                    continue
                self._links[number], self.names[number] = link, name

    def _beat(self, parent: int) -> None:
        while not self._over.wait(BEAT_S):
            # A launcher that was killed cannot stop its processes: they end themselves.
            if os.environ.get("HARLIB_LAUNCHER") == str(parent) and os.getppid() != parent:
                self._end("the process that started this one died")
            for link in self._links.values():
                self._send(link, b".")

    def _send(self, link: socket.socket, message: bytes) -> None:
        with contextlib.suppress(OSError), self._lock:  # a broken link is the listener's to tell
            link.sendall(message)

    def _listen(self, number: int, link: socket.socket) -> None:
        """Beats are dots; a line tells that the peer leaves as planned, or that another died."""
        text = b""
        while not self._over.is_set():
            try:
                got = link.recv(4096)
                link.settimeout(PATIENCE_S)
            except TimeoutError:
                self._lost(number, f"gave no sign of life for {link.gettimeout():.0f} s")
            except OSError:
                got = b""
            if not got:
                planned = self._over.is_set() or number in self._left
                return self._closed.release() if planned else self._lost(number, "ended")
            *lines, text = (text + got.replace(b".", b"")).split(b"\n")
            for line in map(bytes.decode, lines):
                if line != "leave":
                    self._end(line)
                self._left.add(number)
                if self.process:  # process 0 is the last to leave
                    self._over.set()

    def _lost(self, number: int, how: str) -> None:
        self._last_word.acquire()
        message = f"{self.names[number]} {how}"
        for other, link in self._links.items():
            if other != number:
                self._send(link, message.replace(".", "·").encode() + b"\n")
        self._end(message)

    def _end(self, message: str) -> None:
        self._last_word.acquire()
        # Not an exception: the main thread may be inside a step that never ends.
        line = f"{message}; training stops here and resumes from its last checkpoint when started"
        print(f"{self.names[self.process]}: {line} again", file=sys.stderr, flush=True)
        os._exit(EXIT_STATUS)

    def leave(self) -> None:
        """End as planned: wait until every process is at its end."""
        if not self.process:
            while len(self._left) < len(self._links):
                time.sleep(0.05)
        for link in self._links.values():
            self._send(link, b"leave\n")
        if self.process:
            self._over.wait()  # process 0 may have much to do: scores, files
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_WR)
        if not self.process:
            # A socket closed over unread beats resets the connection, and "leave" is lost with it.
            for _ in self._links:
                self._closed.acquire(timeout=PATIENCE_S)
        self._over.set()

    def abandon(self, error: BaseException) -> None:
        """Tell `error` and end this process, so that the others end too."""
        # A step fails at once when another process dies; its listener is about to say who did.
        if isinstance(error, Exception):
            time.sleep(3 * BEAT_S)
        if isinstance(error, ValueError | OSError):
            print(f"Error: {error}", file=sys.stderr)
        else:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        interrupted = 130 if isinstance(error, KeyboardInterrupt) else 1
        code = getattr(error, "code", interrupted)  # SystemExit has one
        os._exit(code if isinstance(code, int) else 1)


def _connect(host: str, port: int, deadline: float, who: str) -> socket.socket:
    while True:
        try:
            return socket.create_connection((host, port), timeout=10)
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"{who} cannot reach process 0 at {host}:{port}: {error}"
                raise TimeoutError(message) from None
            time.sleep(0.2)


def _line(link: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n"):
        got = link.recv(1)
        if not got:
            raise ConnectionError("a process ended while the training was being set up")
        text += got
        if len(text) > _LONGEST:
            raise ConnectionError(f"{len(text)} bytes without an end, expected a greeting")
    return text.decode().strip()
