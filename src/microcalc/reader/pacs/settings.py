"""The file ``pacs.yaml``: which PACS, how it is reached, and how a modality may push images here.

    kind: dicomweb                      kind: dimse
    url: https://pacs.example/rs        host: pacs.example
    user_env: PACS_USER                 port: 104
    password_env: PACS_PASSWORD         title: ARCHIVE
    ca_file: hospital-ca.pem            our_title: MICROCALC
                                        retrieve: get
    listen:                             (with both kinds, where modalities push)
      port: 11112
      title: MICROCALC
      accept_titles: [MAMMO1]

Only values and their check; passwords stand in environment variables, never in the file.
"""

import os
import ssl
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from microcalc.errors import ProtocolError

__all__ = [
    "DicomwebSettings",
    "DimseSettings",
    "ListenSettings",
    "PacsSettings",
    "TlsSettings",
    "checked_pacs_settings",
    "read_pacs_settings",
]

MEBIBYTE = 1 << 20
_TITLE = r"^[ -\[\]-~]{1,16}$"
Title = Annotated[str, Field(pattern=_TITLE)]
"""AE title: 16 letters of ASCII, no backslash (DICOM PS3.5, AE)."""

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSettings(_Values):
    """Certificates of an encrypted DIMSE connection.

    Attributes:
        ca_file: who signs the other's certificate; empty: the system's authorities.
        certificate, key: our own, where the other asks for one.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def client_context(self) -> ssl.SSLContext:
        """For calling: the other's certificate and name are always checked."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def server_context(self) -> ssl.SSLContext:
        """For being called: callers must have a certificate where an authority is named.

        Raises:
            ProtocolError: there is no certificate to show.
        """
        if self.certificate is None:
            raise ProtocolError("listen: tls must have a certificate and its key; callers would see none")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class ListenSettings(_Values):
    """Where modalities may push images to, and archives send what C-MOVE asks for.

    Attributes:
        host: address that is listened on; this machine only, unless said otherwise.
        port: 0 takes any free one.
        title: our AE title; callers must call it.
        accept_titles: AE titles of callers; nobody else is let in.
        largest_mb: MiB of one object.
        callers: at the same time.
        idle_s: after so many seconds of silence a caller is cut off.
        tls: encrypted, where given.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 11112
    title: Title = "MICROCALC"
    accept_titles: Annotated[tuple[Title, ...], Field(min_length=1)]
    largest_mb: Annotated[int, Field(ge=1, le=4096)] = 256
    callers: Annotated[int, Field(ge=1, le=64)] = 8
    idle_s: Seconds = 60
    tls: TlsSettings | None = None

    @property
    def largest_bytes(self) -> int:
        """Of one object."""
        return self.largest_mb * MEBIBYTE


class _Pacs(_Values):
    """What both kinds have.

    Attributes:
        timeout_s: of a connection, and of each silence.
        largest_mb: MiB of one answer: of an object by DICOMweb, of a series by C-GET.
        listen: where modalities may push images to, if they may.
    """

    timeout_s: Seconds = 30
    largest_mb: Annotated[int, Field(ge=1, le=4096)] = 1024
    listen: ListenSettings | None = None

    @property
    def largest_bytes(self) -> int:
        """Of one answer."""
        return self.largest_mb * MEBIBYTE


class DicomwebSettings(_Pacs):
    """A PACS by DICOMweb.

    Attributes:
        url: root of QIDO, WADO and STOW.
        user_env, password_env: environment variables with a user and a password (HTTP basic).
        token_env: environment variable with a bearer token.
        ca_file: who signs the server's certificate; empty: the system's authorities.
        certificate, key: our own, where the server asks for one.
        patience_s: of one whole request: a PACS that drips is given up then.
    """

    kind: Literal["dicomweb"]
    url: str
    user_env: str = ""
    password_env: str = ""
    token_env: str = ""
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    patience_s: Seconds = 600

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")) or "@" in url:
            raise ValueError("must begin with https:// or http:// and hold no user or password")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _one_way_in(self) -> "DicomwebSettings":
        if bool(self.user_env) != bool(self.password_env) or (self.token_env and self.user_env):
            raise ValueError("give user_env and password_env, or token_env, or none of them")
        return self

    def secret(self, variable: str) -> str:
        """Value of an environment variable of the file.

        Raises:
            ProtocolError: it is not set.
        """
        value = os.environ.get(variable, "")
        if not value:
            raise ProtocolError(
                f"the PACS wants what the environment variable {variable} holds; it is not set. Set it and try again"
            )
        return value


class DimseSettings(_Pacs):
    """A PACS by DIMSE, the classical DICOM network protocol.

    Attributes:
        host, port, title: of the PACS, its AE title.
        our_title: our AE title, as the PACS knows us.
        retrieve: images by C-GET over the same connection, or by C-MOVE to ``listen``.
        tls: encrypted, where given.
    """

    kind: Literal["dimse"]
    host: str
    port: Port
    title: Title
    our_title: Title = "MICROCALC"
    retrieve: Literal["get", "move"] = "get"
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _move_needs_ears(self) -> "DimseSettings":
        if self.retrieve == "move" and self.listen is None:
            raise ValueError("retrieve: move needs listen, where the PACS sends the images to")
        return self


PacsSettings = DicomwebSettings | DimseSettings

_ADAPTER: TypeAdapter[PacsSettings] = TypeAdapter(Annotated[PacsSettings, Field(discriminator="kind")])


def read_pacs_settings(path: Path) -> PacsSettings:
    """Read ``pacs.yaml``.

    Raises:
        ProtocolError: the file cannot be read, or a value does not fit; the message names it.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProtocolError(f"{path}: must be a YAML file that says how the PACS is reached; {error}") from error
    return checked_pacs_settings(_beside(values, path.absolute().parent), source=str(path))


def _beside(values: object, folder: Path) -> object:
    """The same values; files of certificates are looked for beside the file that names them."""
    if not isinstance(values, dict):
        return values
    return {
        key: str(folder / value) if key in _FILES and isinstance(value, str) else _beside(value, folder)
        for key, value in values.items()
    }


_FILES = ("ca_file", "certificate", "key")


def checked_pacs_settings(values: object, *, source: str) -> PacsSettings:
    """Check values as they stand in ``pacs.yaml``.

    Args:
        values: a mapping.
        source: where they come from, for the message.

    Raises:
        ProtocolError: a value does not fit; the message names it.
    """
    if not isinstance(values, dict) or values.get("kind") not in ("dicomweb", "dimse"):
        raise ProtocolError(f"{source}: kind must be dicomweb or dimse, as docs/pacs.md shows; nothing else is known")
    try:
        return _ADAPTER.validate_python(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'][1:]) or 'file'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise ProtocolError(f"{source}: {wrong}. docs/pacs.md shows the whole file") from error
