"""A connection between a client and a PACS that can be made slow, broken or foolish while it runs."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

P_DATA = 0x04
REDIRECT = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"


def page(body: bytes, *, kind: str = "text/html", status: str = "200 OK") -> bytes:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


class UnrulyProxy:
    """Passes bytes on to a port of loopback, with a will of its own.

    Args:
        port: of the PACS.
        context: clients speak TLS with it; the PACS does not.

    Attributes:
        answer: says this to every request, and the PACS never hears of it.
        lose_answers: the PACS gets the request, its answer is dropped and the line cut.
        lose_after: by DIMSE, so many P-DATA PDUs of the PACS pass before the line is cut; None: all.
        drip_s: one byte of an answer in so many seconds.
        hold: nothing passes.
        requests: first lines of all HTTP requests.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._upstream, self._context = port, context
        self.answer: bytes = b""
        self.endless = False
        self.lose_answers = False
        self.lose_after: int | None = None
        self.drip_s = 0.0
        self.hold = threading.Event()
        self.requests: list[str] = []
        self.on_request: Callable[[], None] = lambda: None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self.hold.clear()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in list(self._open):
            _close(one)
        self._thread.join(5)

    def stowed(self) -> int:
        """How many objects were sent by STOW."""
        return sum(line.startswith("POST") for line in self.requests)

    def _accept(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._context is not None:
                self._open.discard(client)
                client = self._context.wrap_socket(client, server_side=True)
                self._open.add(client)
            first = client.recv(1 << 16)
            line = first.split(b"\r\n", 1)[0].decode("latin-1")
            self.requests.append(line)
            self.on_request()
            while self.hold.is_set() and not self._stopped:
                time.sleep(0.01)
            if self.answer or self.endless:
                self._say(client)
            else:
                self._pass_on(client, first)
        _close(client)
        self._open.discard(client)

    def _say(self, client: socket.socket) -> None:
        threading.Thread(target=_drain, args=(client,), daemon=True).start()
        client.sendall(self.answer)
        while self.endless and not self._stopped:
            client.sendall(b"x" * (1 << 16))
        time.sleep(0.05)

    def _pass_on(self, client: socket.socket, first: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self._upstream), timeout=30) as server:
            self._open.add(server)
            server.sendall(first)
            threading.Thread(target=_copy, args=(client, server), daemon=True).start()
            if self.lose_after is not None:
                _pass_pdus(server, client, self.lose_after)
            else:
                while data := server.recv(1 << 16):
                    if self.lose_answers:
                        break
                    self._give(client, data)
            self._open.discard(server)

    def _give(self, client: socket.socket, data: bytes) -> None:
        if not self.drip_s:
            client.sendall(data)
            return
        for i in range(len(data)):
            client.sendall(data[i : i + 1])
            time.sleep(self.drip_s)


def _pass_pdus(server: socket.socket, client: socket.socket, answers: int) -> None:
    """Pass whole PDUs on, until one P-DATA too many comes (DICOM PS3.8, 9.3)."""
    stream = server.makefile("rb")
    while len(head := stream.read(6)) == 6:
        body = stream.read(int.from_bytes(head[2:], "big"))
        if head[0] == P_DATA:
            if answers == 0:
                return
            answers -= 1
        client.sendall(head + body)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)


def _drain(source: socket.socket) -> None:
    with suppress(OSError):
        while source.recv(1 << 16):
            pass


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
