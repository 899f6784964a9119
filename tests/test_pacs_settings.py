"""``pacs.yaml``: what is taken, and what is said of what is wrong."""

import ssl
from pathlib import Path

import pytest

from microcalc.errors import ProtocolError
from microcalc.reader.pacs.archive import PacsQuery
from microcalc.reader.pacs.settings import (
    DicomwebSettings,
    DimseSettings,
    TlsSettings,
    checked_pacs_settings,
    read_pacs_settings,
)

WEB = {"kind": "dicomweb", "url": "https://pacs.example/rs/"}
DIMSE = {"kind": "dimse", "host": "pacs.example", "port": 104, "title": "ARCHIVE"}
LISTEN = {"port": 11112, "accept_titles": ["MAMMO1"]}


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "pacs.yaml"
    path.write_text("kind: dimse\nhost: pacs.example\nport: 104\ntitle: ARCHIVE\nlisten:\n  accept_titles: [MAMMO1]\n")
    settings = read_pacs_settings(path)
    assert isinstance(settings, DimseSettings)
    assert (settings.our_title, settings.retrieve) == ("MICROCALC", "get")
    assert settings.listen is not None
    assert (settings.listen.host, settings.listen.accept_titles) == ("127.0.0.1", ("MAMMO1",))


def test_certificates_lie_beside_the_file(tmp_path: Path):
    path = tmp_path / "pacs.yaml"
    path.write_text(
        "kind: dimse\nhost: a\nport: 104\ntitle: A\ntls:\n  ca_file: ca.pem\n  certificate: /etc/ours.pem\n"
    )
    settings = read_pacs_settings(path)
    assert isinstance(settings, DimseSettings)
    assert settings.tls is not None
    assert (settings.tls.ca_file, settings.tls.certificate) == (tmp_path / "ca.pem", Path("/etc/ours.pem"))


def test_the_files_of_the_manual_are_read(tmp_path: Path):
    manual = (Path(__file__).parent.parent / "docs" / "pacs.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in manual.split("```yaml\n")[1:]]
    kinds = []
    for block in blocks:
        path = tmp_path / "pacs.yaml"
        path.write_text(block)
        kinds.append(read_pacs_settings(path).kind)
    assert set(kinds) == {"dicomweb", "dimse"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (None, "kind must be dicomweb or dimse"),
        ({"kind": "ftp"}, "kind must be dicomweb or dimse"),
        (WEB | {"url": "pacs.example"}, "url: .* must begin with https"),
        (WEB | {"url": "https://me:secret@pacs.example"}, "hold no user or password"),
        (WEB | {"password": "secret"}, "password: Extra inputs"),
        (WEB | {"user_env": "U"}, "give user_env and password_env"),
        (WEB | {"user_env": "U", "password_env": "P", "token_env": "T"}, "or token_env"),
        (WEB | {"timeout_s": 0}, "timeout_s: Input should be greater than 0"),
        (WEB | {"listen": {"port": 1}}, "listen.accept_titles: Field required"),
        (WEB | {"listen": LISTEN | {"accept_titles": []}}, "listen.accept_titles"),
        (WEB | {"listen": LISTEN | {"accept_titles": ["A TITLE THAT IS TOO LONG"]}}, "listen.accept_titles.0"),
        (DIMSE | {"port": 70000}, "port: Input should be less than or equal to 65535"),
        (DIMSE | {"title": "BACK\\SLASH"}, "title: String should match"),
        (DIMSE | {"retrieve": "move"}, "retrieve: move needs listen"),
    ],
)
def test_what_is_wrong_is_named(values: object, words: str):
    with pytest.raises(ProtocolError, match=words):
        checked_pacs_settings(values, source="pacs.yaml")


def test_a_secret_never_stands_in_an_error():
    with pytest.raises(ProtocolError) as caught:
        checked_pacs_settings(WEB | {"url": "https://me:hunter2@pacs.example"}, source="pacs.yaml")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ProtocolError, match=r"missing\.yaml: must be a YAML file"):
        read_pacs_settings(tmp_path / "missing.yaml")


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path):
    path = tmp_path / "pacs.yaml"
    path.write_text("kind: [dimse")
    with pytest.raises(ProtocolError, match="must be a YAML file"):
        read_pacs_settings(path)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch):
    settings = checked_pacs_settings(WEB | {"token_env": "PACS_TOKEN_OF_TEST"}, source="test")
    assert isinstance(settings, DicomwebSettings)
    with pytest.raises(ProtocolError, match="PACS_TOKEN_OF_TEST holds; it is not set"):
        settings.secret(settings.token_env)
    monkeypatch.setenv("PACS_TOKEN_OF_TEST", "abc")
    assert settings.secret(settings.token_env) == "abc"


def test_tls_checks_the_other_side():
    context = TlsSettings().client_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"date": "2019"}, "must be YYYYMMDD"),
        ({"date": "2019-03-04"}, "must be YYYYMMDD"),
        ({"study_uid": "../x"}, "a study UID must be numbers"),
        ({"patient_id": "a\\b"}, "without backslashes"),
        ({"patient_name": "a\nb"}, "one line of text"),
        ({"limit": 0}, "at least one study"),
    ],
)
def test_a_query_that_asks_for_something_else_than_meant_is_refused(values: dict[str, object], words: str):
    with pytest.raises(ProtocolError, match=words):
        PacsQuery(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("date", ["20190304", "20190101-20191231", "20190101-", "-20191231"])
def test_dates_and_ranges_are_taken(date: str):
    assert not PacsQuery(date=date).is_open
