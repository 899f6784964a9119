"""How a reading room is run: where its data lie, who may reach it, and what it takes in.

Only values and the check that they fit together; the command line fills them.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from microcalc.errors import ProtocolError

__all__ = ["LOOPBACK_NAMES", "Limits", "Network", "Proxy", "Settings", "is_loopback", "network_of"]

Network = IPv4Network | IPv6Network

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
"""What a browser on this machine may call it."""

GIB = 1 << 30
MIB = 1 << 20


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def network_of(text: str) -> Network:
    """Addresses from text, ``10.0.0.1`` or ``10.0.0.0/24``.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ProtocolError(
            f"a trusted proxy must be an address or a network, 10.0.0.1 or 10.0.0.0/24; got {text!r}"
        ) from error


@dataclass(frozen=True)
class Limits:
    """What is taken in at most.

    Attributes:
        upload_bytes: of one upload.
        file_bytes: of one file, packed or not.
        unzipped_bytes: of all files of one zip.
        zip_entries: files of one zip.
        json_bytes: of any other request.
        waiting_readings: of one reader at a time.
    """

    upload_bytes: int = 2 * GIB
    file_bytes: int = 512 * MIB
    unzipped_bytes: int = 8 * GIB
    zip_entries: int = 10_000
    json_bytes: int = 256 * 1024
    waiting_readings: int = 64


@dataclass(frozen=True)
class Proxy:
    """A reverse proxy in front.

    Attributes:
        trusted: addresses whose X-Forwarded-For, X-Forwarded-Proto and identity header are believed.
        identity_header: in which an identity provider names the person; empty: people log in here.
    """

    trusted: tuple[Network, ...] = ()
    identity_header: str = ""


@dataclass(frozen=True)
class Settings:
    """All of it.

    Attributes:
        study: folder of a finished study; None to annotate only.
        data: folder of the store, the images and what is made of them.
        database: URL; empty: SQLite in ``data``.
        host, port: that the server listens on.
        names: host names, besides those of this machine, by which browsers may call the server.
        token_login: a one-time token logs the owner in; only where nobody else can reach the server.
        owner: name of the account that the token logs in.
        https: cookies go over TLS only.
        proxy: a reverse proxy in front.
        blind: readers see each other's marks only when both have finished an exam.
        watch: folder whose files are taken in.
        watch_seconds: between two looks at it.
        pacs: file that says which PACS there is and how it is reached.
        session_hours: after which an idle session ends.
        decode_processes: that read uploaded files; 0: this one, unguarded.
        runtime: of the networks.
        limits: what is taken in.
    """

    study: Path | None
    data: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    token_login: bool = True
    owner: str = "owner"
    https: bool = False
    proxy: Proxy = field(default_factory=Proxy)
    blind: bool = False
    watch: Path | None = None
    watch_seconds: float = 2.0
    pacs: Path | None = None
    session_hours: float = 12.0
    decode_processes: int = 1
    runtime: str = "auto"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse what would let strangers in."""
        if self.token_login and not is_loopback(self.host):
            raise ProtocolError(
                f"a log-in by token must stay on this machine; the server would listen on {self.host}. "
                "Make accounts (microcalc serve accounts add NAME), or leave --host away"
            )
        if self.proxy.identity_header and not self.proxy.trusted:
            raise ProtocolError(
                "an identity header must come from a trusted proxy, or anybody could send it; none is named. "
                "Add --trusted-proxy ADDRESS"
            )
