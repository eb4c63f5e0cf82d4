"""How to reach an API server and who we are there, as values: what a kubeconfig or a pod's service account comes to.

Nothing is opened here; `muslin.kubernetes.login` turns it into headers and TLS. Secrets are not in any `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from muslin.errors import BadInput, Problem

__all__ = ["Access", "ExecPlugin", "Pem", "User", "checked_server"]


@dataclass(frozen=True, slots=True)
class Pem:
    """Certificates or a key: inline, or a file that is read again when it changes. `place` is for messages."""

    place: str
    data: bytes | None = field(default=None, repr=False)
    path: Path | None = None

    def read(self) -> bytes:
        """The PEM now. Raises BadInput where the file can't be read."""
        if self.data is not None:
            return self.data
        try:
            return Path(self.path or self.place).read_bytes()
        except OSError as error:
            raise BadInput(
                Problem(f"{self.place} can't be read: {error.strerror}", str(self.path), "check the path and its mode")
            ) from error


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that prints an ExecCredential (`client.authentication.k8s.io`).

    Attributes:
        command: name on PATH, or a path (relative ones are made absolute when the kubeconfig is read).
        environment: added to ours.
        cluster: what is handed to the program in KUBERNETES_EXEC_INFO, None unless `provideClusterInfo`.
        hint: how to install it.
    """

    command: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_version: str = "client.authentication.k8s.io/v1"
    cluster: Any = field(default=None, repr=False)
    hint: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who we are.

    Several may be set: certificates go with TLS, and of the rest the first one given counts, in this order: token file,
    token, user name and password, what the plugin gives.
    """

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificate: Pem | None = None
    key: Pem | None = None
    plugin: ExecPlugin | None = None
    impersonation: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """One API server, as one user.

    Attributes:
        server: URL, `https://host[:port][/prefix]`.
        ca: who must have signed the server's certificate, None for the machine's own list.
        tls_server_name: name in the server's certificate, if another than in `server`.
        proxy_url: `http://` or `https://`, None to do as the environment says; may hold a password.
        namespace: the context's.
        place: where all this was found, for messages.
    """

    server: str
    ca: Pem | None = None
    user: User = User()
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    namespace: str = "default"
    place: str = ""


def checked_server(text: str, place: str) -> str:
    """The URL of an API server. Raises BadInput for what is none, and for one with a password, which all logs show."""
    try:
        parts = urlsplit(text)
        _ = parts.port
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        fine = False
    if fine and "@" in parts.netloc:
        what, fix = (
            "the server's URL holds a user",
            "write it without, and give a token, certificate or password beside",
        )
        raise BadInput(Problem(what, place, fix))
    if not fine or not text.isprintable() or " " in text:
        what = f"{text!r} is no address of an API server" if text else "the cluster has no server"
        raise BadInput(Problem(what, place, "write a URL such as https://192.0.2.10:6443"))
    return text
