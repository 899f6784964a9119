"""A hub on 127.0.0.1: serves files as the Hugging Face hub and a release page do, and can be told to misbehave."""

import contextlib
import hashlib
import http.server
import threading
from dataclasses import dataclass, field
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What is served and what happened.

    Attributes:
        files: path in the address -> file on disk.
        asked: method and path of each request, in order.
        stall: paths whose download stops half-way until the server ends; `stalled` is set when it does.
        spoil: paths whose bytes are changed on the way.
    """

    files: dict[str, Path] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    stall: set[str] = field(default_factory=set)
    spoil: set[str] = field(default_factory=set)
    stalled: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add_model(self, timm_name, path):
        for revision in ("main", COMMIT):
            self.files[f"/timm/{timm_name}/resolve/{revision}/model.safetensors"] = path

    def downloads(self):
        return [path for method, path in self.asked if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        self.hub.asked.append((self.command, self.path))
        path = self.hub.files.get(self.path)
        if path is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.send(content)

    def send(self, content):
        half = len(content) // 2
        if self.path in self.hub.spoil:
            content = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[:half])
            if self.path in self.hub.stall:
                self.wfile.flush()
                self.hub.stalled.set()
                self.hub.closing.wait()
                return
            self.wfile.write(content[half:])

    def log_message(self, *args):
        """Quiet."""


@contextlib.contextmanager
def running_hub():
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
