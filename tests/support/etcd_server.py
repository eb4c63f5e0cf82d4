"""A real etcd on loopback, with keys and data of its own."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority, Pair
from tests.support.engine_server import EngineServer
from tests.support.engines import Server, free_ports, program, workspace

__all__ = ["EtcdServer", "Refused", "quick"]


class Refused(Exception):
    """An answer of etcd's gateway other than success; the text is what it said."""


@functools.cache
def quick(binary: Path) -> tuple[str, ...]:
    """The flag that makes it quick where it knows it (Debian's does not). Killing a process loses nothing by it."""
    said = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False)
    return ("--unsafe-no-fsync",) if "unsafe-no-fsync" in said.stdout + said.stderr else ()


_ROOM = f"--quota-backend-bytes={512 << 20}"
"""Without it etcd maps 10 GiB at once, which a machine with many of them refuses. A later one of these flags wins."""


class EtcdServer(EngineServer):
    """One etcd: `with EtcdServer(tls=True) as etcd: ... etcd.endpoint`. Started on entering, gone on leaving.

    Args:
        tls: serve TLS with a certificate for 127.0.0.1 and localhost.
        client_certificates: ask for a client's certificate, too; `client` is one. Implies `tls`.
        folder: where the data goes, for a disk of a given size; None for a temporary one.
        arguments: more flags.

    Attributes:
        endpoint: URL of its clients, the same after a restart.
        ca_file: authority of its certificate; None without TLS.
        client: a certificate that it accepts; None without TLS.
        authority: signs more certificates; None without TLS.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        client_certificates: bool = False,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._tls = tls or client_certificates
        self._client_certificates = client_certificates
        self._data = folder
        self._arguments = tuple(arguments)
        self.authority: Authority | None = None
        self.ca_file: Path | None = None
        self.client: Pair | None = None
        self.endpoint = ""

    def _opened(self, stack: contextlib.ExitStack) -> None:
        binary = program("etcd")
        folder = stack.enter_context(workspace("etcd"))
        flags = self._keys(folder)
        self._begin(stack, lambda: self._made(binary, folder, flags))

    def _keys(self, folder: Path) -> list[str]:
        if not self._tls:
            return []
        self.authority = Authority(folder / "keys")
        server = self.authority.issue("etcd")
        self.client = self.authority.issue("root")
        self.ca_file = self.authority.cert
        flags = [f"--cert-file={server.cert}", f"--key-file={server.key}"]
        if self._client_certificates:
            flags += ["--client-cert-auth", f"--trusted-ca-file={self.ca_file}"]
        return flags

    def _made(self, binary: Path, folder: Path, flags: Sequence[str]) -> Server:
        client, peer = free_ports(2)
        self.endpoint = f"{'https' if self._tls else 'http'}://127.0.0.1:{client}"
        url = f"http://127.0.0.1:{peer}"
        command: list[str | Path] = [
            binary,
            "--name=one",
            f"--data-dir={self._data or folder / 'data'}",
            "--log-level=warn",
            f"--listen-client-urls={self.endpoint}",
            f"--advertise-client-urls={self.endpoint}",
            f"--listen-peer-urls={url}",
            f"--initial-advertise-peer-urls={url}",
            f"--initial-cluster=one={url}",
            *quick(binary),
            _ROOM,
            *flags,
            *self._arguments,
        ]
        return Server(command, folder / "log", self._healthy)

    @functools.cached_property
    def _context(self) -> ssl.SSLContext | None:
        if self.ca_file is None or self.client is None:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.client.cert, self.client.key)
        return context

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/health", timeout=5, context=self._context) as answer:
                return bool(json.load(answer)["health"] == "true")
        except (OSError, ValueError):
            return False

    def call(self, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None) -> dict[str, Any]:
        """One request through etcd's JSON gateway, such as `call("/v3/kv/put", {"key": b64(...), ...})`.

        Raises:
            Refused: etcd said no; OSError where it does not answer.
        """
        request = urllib.request.Request(self.endpoint + path, json.dumps(body or {}).encode())
        if token is not None:
            request.add_header("Authorization", token)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._context) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.read().decode()) from None

    def enable_auth(self, root_password: str, users: Mapping[str, tuple[str, str]]) -> None:
        """Ask for users and passwords from now on.

        Args:
            root_password: of the user `root`, who may do everything.
            users: by name, a password and the prefix of the keys that this user may read and write.
        """
        self.call("/v3/auth/user/add", {"name": "root", "password": root_password})
        self.call("/v3/auth/role/add", {"name": "root"})
        self.call("/v3/auth/user/grant", {"user": "root", "role": "root"})
        for name, (password, prefix) in users.items():
            self.call("/v3/auth/user/add", {"name": name, "password": password})
            self.call("/v3/auth/role/add", {"name": name})
            last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            key, end = (base64.b64encode(text.encode()).decode() for text in (prefix, last))
            permission = {"permType": "READWRITE", "key": key, "range_end": end}
            self.call("/v3/auth/role/grant", {"name": name, "perm": permission})
            self.call("/v3/auth/user/grant", {"user": name, "role": name})
        self.call("/v3/auth/enable")

    def log_in(self, name: str, password: str) -> str:
        """A token for `call`."""
        return str(self.call("/v3/auth/authenticate", {"name": name, "password": password})["token"])
