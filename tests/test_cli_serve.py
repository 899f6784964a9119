"""`microcalc serve` and its accounts: what is refused before anybody could get in, and what is printed."""

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.main import get_command
from typer.testing import CliRunner, Result

from microcalc.cli import app
from microcalc.cli.serve import _listen
from microcalc.cli.serve import app as serve_app
from microcalc.errors import InputError, MicrocalcError, ProtocolError, StudyError
from microcalc.reader.engine import RUNTIMES
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store, sqlite_url
from microcalc.reader.store.models import AuditEntry

PASSWORD = {"MICROCALC_PASSWORD": "correct horse battery"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "room"


def serve(data: Path, *words: str, **options: object) -> Result:
    return CliRunner().invoke(app, ["serve", *words, "--data", str(data)], **options)  # type: ignore[arg-type]


def add(data: Path, name: str, *words: str) -> Result:
    return serve(data, "accounts", "add", name, *words, env=PASSWORD)


def refused(result: Result, kind: type[MicrocalcError]) -> str:
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_accounts_are_made_listed_and_closed(data: Path):
    assert add(data, "Anna", "--role", "admin").output == "anna may log in as admin\n"
    assert add(data, "berta", "--no-password").exit_code == 0
    assert serve(data, "accounts", "change", "berta", "--close").output == "berta: reader, closed\n"
    listed = serve(data, "accounts", "list").output.splitlines()
    assert listed == ["anna: admin, open, by password", "berta: reader, closed, by token or identity provider"]
    assert "one administrator must remain" in refused(serve(data, "accounts", "change", "anna", "--close"), InputError)
    assert "nobody has none" in refused(serve(data, "accounts", "change", "nobody", "--close"), InputError)


def test_where_there_are_readers_only_they_can_be_closed_and_get_another_password(data: Path):
    add(data, "berta")
    new = serve(data, "accounts", "change", "berta", "--new-password", input="another good word\nanother good word\n")
    assert new.exit_code == 0, new.exception
    assert serve(data, "accounts", "change", "berta", "--close").output == "berta: reader, closed\n"
    assert serve(data, "accounts", "change", "berta", "--role", "admin").exit_code == 0
    assert serve(data, "accounts", "change", "berta", "--reopen").output == "berta: admin, open\n"
    said = refused(serve(data, "accounts", "change", "berta", "--role", "reader"), InputError)
    assert "one administrator must remain" in said


def test_a_password_is_asked_for_twice_and_not_shown(data: Path):
    result = serve(data, "accounts", "add", "anna", input="correct horse battery\ncorrect horse battery\n")
    assert result.exit_code == 0
    assert "correct" not in result.output
    short = serve(data, "accounts", "add", "berta", input="short\nshort\n")
    assert "at least 12 characters" in refused(short, InputError)


def test_a_server_that_others_reach_needs_accounts_and_an_encrypted_way(data: Path):
    said = refused(serve(data, "--host", "0.0.0.0", "--port", "0"), ProtocolError)
    assert f"microcalc serve accounts add NAME --role admin --data {data}" in said
    add(data, "anna")
    said = refused(serve(data, "--host", "0.0.0.0", "--port", "0"), ProtocolError)
    assert "--certificate and --key" in said
    said = refused(serve(data, "--host", "127.0.0.1", "--port", "0", "--identity-header", "X-User"), ProtocolError)
    assert "--trusted-proxy" in said


def test_what_is_given_wrongly_is_refused_before_anything_starts(data: Path, tmp_path: Path):
    assert "give both" in refused(serve(data, "--certificate", "x.pem", "--port", "0"), ProtocolError)
    assert "a watched folder must be there" in refused(serve(data, "--watch", str(tmp_path / "no")), InputError)
    assert "Choose another --port" in refused(serve(data, "--host", "192.0.2.1", "--port", "0",
                                                    "--trusted-proxy", "192.0.2.2"), InputError)  # fmt: skip
    (tmp_path / "study").mkdir()
    assert "must be the folder of a study" in refused(serve(data, str(tmp_path / "study"), "--port", "0"), StudyError)
    # and the folder can be used afterwards
    assert add(data, "anna").exit_code == 0


def test_behind_a_proxy_it_says_that_it_speaks_plain_http(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("microcalc.cli.serve._serve", lambda room, *_: room.close())
    add(data, "anna")
    said = serve(data, "--port", "0", "--trusted-proxy", "127.0.0.1").output
    assert re.search(r"listening on http://127\.0\.0\.1:\d+ for the proxy in front", said)


def test_the_log_is_checked_by_a_command(data: Path):
    add(data, "anna")
    said = serve(data, "audit").output
    number, code = re.search(r"note this: (\d+):([0-9a-f]{64})", said).groups()  # type: ignore[union-attr]
    add(data, "berta")
    assert serve(data, "audit", "--noted", f"{number}:{code}").exit_code == 0
    wrong = serve(data, "audit", "--noted", f"{number}:{'0' * 64}")
    assert "line 1 is not the one that was noted" in refused(wrong, InputError)
    assert "NUMBER:HASH" in refused(serve(data, "audit", "--noted", "x"), InputError)


def test_what_is_done_at_the_machine_is_in_the_log(data: Path):
    add(data, "anna")
    store = Store.open(sqlite_url(data / "store.sqlite"))
    assert audit.verify(store).head.number == 1
    store.close()


def test_a_user_whom_the_system_has_no_name_for_is_called_by_number(data: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    monkeypatch.setattr("microcalc.cli.serve._serve", lambda room, *_: room.close())
    assert add(data, "anna").output == "anna may log in as reader\n"
    assert "/api/token?token=" in serve(data, "--port", "0").output
    store = Store.open(sqlite_url(data / "store.sqlite"))
    with store.reading() as session:
        assert session.scalars(select(AuditEntry.account)).all() == ["uid 54321 (command line)"]
    store.close()


def test_the_help_says_what_it_is_for(data: Path):
    said = CliRunner().invoke(app, ["serve", "--help"]).output
    assert "Research use only" in " ".join(said.split())
    for command in ("run", "accounts", "audit"):
        assert command in said


def test_the_help_names_runtimes_that_there_are():
    command = get_command(serve_app).commands["run"]  # type: ignore[attr-defined]
    (option,) = (each for each in command.params if each.name == "runtime")
    named = re.findall(r"(?:torch|openvino|onnx)[\w-]*", option.help)
    assert named
    assert set(named) <= set(RUNTIMES)


LOGGING = """
import logging
import warnings
from microcalc.cli.serve import _keep_a_log
_keep_a_log()
logging.getLogger("microcalc.reader.access").info("GET /api/me 200")
logging.getLogger("highdicom.base").info("copy attributes from dataset 1.2.3.4")
try:
    raise ValueError("Geheim^Person")
except ValueError:
    logging.getLogger("pydicom").exception("PatientName %s", "Geheim^Person")
warnings.warn("invalid value Geheim^Person")
"""


def test_what_libraries_log_of_a_patient_is_kept_back():
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    own, *others = done.stderr.splitlines()
    assert own.endswith("INFO GET /api/me 200")
    assert [line.partition(" has said")[0].split()[-2:] for line in others] == [
        ["ERROR", "pydicom"],
        ["WARNING", "py.warnings"],
    ]


def test_small_answers_on_an_open_connection_do_not_wait_for_acknowledgements():
    async def delay_is_off() -> bool:
        found = asyncio.get_running_loop().create_future()

        async def visited(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        listening = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(visited, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            try:
                return await found
            finally:
                writer.close()

    assert asyncio.run(delay_is_off())
