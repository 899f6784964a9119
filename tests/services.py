"""Programs of Debian that the tests drive; absent ones skip a test plainly, or fail it where they are required.

``MICROCALC_REQUIRE_SERVICES=1`` (set by CI) turns an absent program into a failure.
"""

import base64
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REQUIRED = os.environ.get("MICROCALC_REQUIRE_SERVICES") == "1"
_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin")


def program(name: str, *, package: str) -> Path:
    """Path of a program; where it is absent the test is skipped, or fails if services are required."""
    found = shutil.which(name, path=":".join(_PLACES)) or shutil.which(name)
    if found is None:
        absent(f"{name} is not installed (Debian package {package})")
    return Path(str(found))


def absent(why: str) -> None:
    """Skip the test, or fail it where services are required."""
    if REQUIRED:
        pytest.fail(f"services are required (MICROCALC_REQUIRE_SERVICES=1), but {why}")
    pytest.skip(why)


def dicom_errors(path: Path) -> list[str]:
    """What dicom3tools' dciodvfy calls an error in a DICOM file."""
    done = subprocess.run(
        [program("dciodvfy", package="dicom3tools"), "-new", path], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def dumped_report(path: Path) -> str:
    """A structured report as dcmtk's dsrdump reads it, whole lines."""
    done = subprocess.run(
        [program("dsrdump", package="dcmtk"), "-q", "+Pl", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Orthanc:
    """An Orthanc of our own on loopback: it can be killed and started again on the same ports with the same data."""

    TITLE = "TESTPACS"
    USER, PASSWORD = "reader", "correct horse"
    USER_ENV, PASSWORD_ENV = "TEST_PACS_USER", "TEST_PACS_PASSWORD"

    def __init__(self, folder: Path, *, our_title: str = "MICROCALC", **more: object) -> None:
        self.folder = folder
        self.our_port = free_port()
        self.http_port, self.dicom_port = free_port(), free_port()
        self._program = program("Orthanc", package="orthanc")
        self._running: subprocess.Popen[bytes] | None = None
        if not DICOMWEB_PLUGIN.exists():
            absent(f"{DICOMWEB_PLUGIN} is not there (Debian package orthanc-dicomweb)")
        (folder / "orthanc.json").write_text(json.dumps(self._settings(our_title) | more))

    @property
    def url(self) -> str:
        """Root of DICOMweb."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            self._running = subprocess.Popen([self._program, self.folder / "orthanc.json"], stdout=log, stderr=log)
        until(self._answers, seconds=60, what="Orthanc to answer", process=self._running)

    def kill(self) -> None:
        """End at once, as in a power cut."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def pause(self) -> None:
        """Hold still without closing a connection: a PACS that hangs."""
        if self._running is not None:
            self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`."""
        if self._running is not None:
            self._running.send_signal(signal.SIGCONT)

    def get(self, path: str) -> object:
        """Answer of Orthanc's own interface, as a second witness of what it holds."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        token = base64.b64encode(f"{self.USER}:{self.PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def held(self) -> dict[str, int]:
        """How many instances of each SOP Instance UID it holds."""
        uids = [entry["MainDicomTags"]["SOPInstanceUID"] for entry in self.get("/instances?expand")]  # type: ignore[attr-defined]
        return {uid: uids.count(uid) for uid in uids}

    def put(self, content: bytes) -> None:
        """Give it a file."""
        self._post("/instances", content)

    def _post(self, path: str, content: bytes) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=content, method="POST")
        token = base64.b64encode(f"{self.USER}:{self.PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        urllib.request.urlopen(request, timeout=60).close()

    def push(self, sop_uid: str) -> None:
        """Have it send an instance to us by C-STORE."""
        known = self.get("/instances?expand")
        (instance,) = (one["ID"] for one in known if one["MainDicomTags"]["SOPInstanceUID"] == sop_uid)  # type: ignore[attr-defined]
        self._post("/modalities/us/store", json.dumps({"Resources": [instance], "Synchronous": True}).encode())

    def _answers(self) -> bool:
        try:
            self.get("/system")
        except OSError:
            return False
        return is_listening(self.dicom_port)

    def _settings(self, our_title: str) -> dict[str, object]:
        return {
            "Name": "tests",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "HttpBindAddresses": ["127.0.0.1"],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {self.USER: self.PASSWORD},
            "DicomAet": self.TITLE,
            "DicomCheckCalledAet": True,
            "DicomPort": self.dicom_port,
            "DicomModalities": {"us": [our_title, "127.0.0.1", self.our_port]},
            # It listens on all interfaces and cannot be told otherwise; strangers are turned away.
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "OverwriteInstances": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }


DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [program("openssl", package="openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(
    done: Callable[[], bool], *, seconds: float, what: str, process: "subprocess.Popen[bytes] | None" = None
) -> None:
    """Wait until something holds; fail when it takes too long or the process has ended."""
    end = time.monotonic() + seconds
    while not done():
        assert process is None or process.poll() is None, f"waited for {what}, but the process has ended"
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def pacs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for all tests of a session; it knows us as MICROCALC on ``our_port``.

    The environment variables ``USER_ENV`` and ``PASSWORD_ENV`` hold its credentials.
    """
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    server.start()
    os.environ[Orthanc.USER_ENV], os.environ[Orthanc.PASSWORD_ENV] = Orthanc.USER, Orthanc.PASSWORD
    yield server
    del os.environ[Orthanc.USER_ENV], os.environ[Orthanc.PASSWORD_ENV]
    server.kill()


class PostgreSQL:
    """A PostgreSQL of our own on loopback, with an empty database for each test that asks for one."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._number = 0
        # It refuses to run as root; elsewhere it runs as whoever runs the tests.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make a cluster and start it; without syncing, since nothing here must outlive a power cut."""
        data = self._folder / "data"
        initdb = [_postgres("initdb"), "--username=tester", "--auth=trust", "--no-sync", "-E", "UTF8", "-D", data]
        if self._user:
            shutil.chown(self._folder, self._user)
        subprocess.run(initdb, check=True, capture_output=True, user=self._user, cwd=self._folder)
        command = [
            _postgres("postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-k", self._folder,
            "-c", "fsync=off", "-c", "max_connections=60",
        ]  # fmt: skip
        with (self._folder / "log.txt").open("ab") as log:
            self._running = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, cwd=self._folder)
        until(self._answers, seconds=60, what="PostgreSQL to answer", process=self._running)

    def database(self) -> str:
        """URL of a new database."""
        self._number += 1
        name = f"test{self._number}"
        self._tell("createdb", name)
        return f"postgresql://tester@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End it at once: nothing in it is wanted any more."""
        if self._running is not None:
            self._running.send_signal(signal.SIGQUIT)
            self._running.wait(30)
            self._running = None

    def _listens(self) -> bool:
        # HTTP comes up last; a look at an encrypted DICOM port would end Orthanc's DICOM server (1.10).
        return is_listening(self.http_port)

    def _answers(self) -> bool:
        return is_listening(self.port) and self._tell("pg_isready", check=False) == 0

    def _tell(self, name: str, *more: str, check: bool = True) -> int:
        command = [_postgres(name), "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", *more]
        return subprocess.run(command, check=check, capture_output=True).returncode


def _postgres(name: str) -> Path:
    """A program of PostgreSQL; Debian keeps those of the server out of the way, by version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found[-1] if found else program(name, package="postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests of a session; its folder is one that another user may enter."""
    _postgres("initdb")
    with tempfile.TemporaryDirectory(prefix="microcalc-postgresql-", ignore_cleanup_errors=True) as folder:
        server = PostgreSQL(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def forgotten_sockets() -> Iterator[None]:
    """Collects the sockets of broken connections that pynetdicom forgets to close, before another test finds them.

    A module that breaks connections uses it, and is marked with ``LEAKS``.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


LEAKS = [
    pytest.mark.usefixtures("forgotten_sockets"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
