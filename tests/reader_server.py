"""The reading room as a process of its own, started by its command: to be killed, and to be watched from outside."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

_URL = re.compile(r"(http://127\.0\.0\.1:\d+)/api/token\?token=(\S+)")


class Server:
    """`microcalc serve` on a free port of loopback; ``output`` is all that it said."""

    def __init__(self, data: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.output = ""
        self._options = options
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._addresses: list[tuple[str, str]] = []
        self._new = threading.Condition()
        self._clients: list[httpx.Client] = []

    def start(self) -> "Server":
        """Start, and wait for the address."""
        command = [sys.executable, "-c", "from microcalc.cli import main; main()", "serve", "run", *self._options]
        self.process = subprocess.Popen(
            [*command, "--data", str(self.data), "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        return self

    def client(self) -> httpx.Client:
        """The owner at a browser, logged in by the last printed address."""
        with self._new:
            assert self._new.wait_for(lambda: self._addresses or self.process.poll() is not None, 60), self.output
            assert self._addresses, self.output
            base, token = self._addresses.pop()
        client = httpx.Client(base_url=base, timeout=60, trust_env=False)
        self._clients.append(client)
        assert client.get(f"/api/token?token={token}").status_code == 303
        client.headers["X-CSRF"] = client.get("/api/me").json()["csrf"]
        return client

    def kill(self) -> None:
        """End at once, as in a power cut; only what was synced stays."""
        self.process.kill()
        self.end()

    def stop(self) -> int:
        """Ask it to end, as Ctrl+C does."""
        self.process.send_signal(2)
        return self.end()

    def peak_memory(self) -> int:
        """Most bytes that the process has held at once."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]

    def end(self) -> int:
        """Wait until it has ended; its exit code."""
        code = self.process.wait(30)
        for client in self._clients:
            client.close()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            found = _URL.search(line)
            with self._new:
                if found:
                    self._addresses.append((found[1], found[2]))
                self._new.notify_all()
        with self._new:
            self._new.notify_all()


def upload(client: httpx.Client, *contents: bytes) -> list[dict[str, Any]]:
    """Verdicts of some files."""
    answer = client.post("/api/uploads", files=[("files", ("image.dcm", content)) for content in contents])
    assert answer.status_code == 200, answer.text
    return list(answer.json())
