"""Who we are, kept current: the header and the TLS identity of an `Access`, read again when files rotate."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from muslin.errors import BadInput, Problem
from muslin.kubernetes.access import Access, Pem
from muslin.kubernetes.tls import client_context

__all__ = ["Credential", "Login", "Plugin"]

_READ_AGAIN_S = 10.0
"""Files are looked at again after this long; a kubelet renews tokens minutes before they end."""


class Credential(Protocol):
    """What a plugin gave: a token, or a certificate with its key, or both."""

    @property
    def token(self) -> str | None: ...  # noqa: D102
    @property
    def certificate(self) -> Pem | None: ...  # noqa: D102
    @property
    def key(self) -> Pem | None: ...  # noqa: D102


class Plugin(Protocol):
    """Gives credentials, the same ones until they end."""

    async def credential(self) -> Credential:
        """The current ones."""
        ...

    def forget(self) -> None:
        """The next ones must be new: the server did not accept these."""
        ...


class Login:
    """Headers and TLS for one access. Who calls `headers` before each request never sends a token that has rotated."""

    def __init__(self, access: Access, plugin: Plugin | None = None) -> None:
        self.access, self._plugin = access, plugin
        self._readable_to_all = _readable_to_all(access.server)
        self._looked_at = float("-inf")
        self._stamp: tuple[int, int, int] | None = None
        self._file_token = ""
        self._clock = asyncio.get_running_loop().time
        self._headers: tuple[tuple[str, str], ...] | None = None
        self._compared = float("-inf")
        self._made: tuple[object, ssl.SSLContext | None] | None = None

    def unchanged(self) -> tuple[tuple[str, str], ...] | None:
        """The headers, if neither they nor TLS need to be looked at now; asked before each request, so it is cheap."""
        if self._compared + _READ_AGAIN_S > self._clock():
            return self._headers
        return None

    async def headers(self) -> tuple[tuple[str, str], ...]:
        """What identifies us in a request. Raises BadInput for an unreadable file, and what the plugin raises."""
        headers = await self._identified()
        self._headers = headers if self._plugin is None else None
        return headers

    async def _identified(self) -> tuple[tuple[str, str], ...]:
        user = self.access.user
        if self._readable_to_all:
            return user.impersonation
        if user.token_file is not None:
            token: str | None = self._token_of(user.token_file)
        elif user.token is not None:
            token = user.token
        elif user.username is not None:
            basic = base64.b64encode(f"{user.username}:{user.password or ''}".encode()).decode()
            return (("Authorization", f"Basic {basic}"), *user.impersonation)
        else:
            token = (await self._plugin.credential()).token if self._plugin else None
        if token is None:
            return user.impersonation
        return (("Authorization", f"Bearer {token}"), *user.impersonation)

    def _token_of(self, path: Path) -> str:
        now = self._clock()
        if now - self._looked_at < _READ_AGAIN_S:
            return self._file_token
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                self._file_token = checked_token(path.read_text("utf-8"), str(path))
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            if self._file_token:  # being rotated: what we have is good for a while
                return self._file_token
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise BadInput(
                Problem(f"the token file can't be read: {why}", str(path), "check the path and its mode")
            ) from error
        self._looked_at = now
        return self._file_token

    async def context(self) -> tuple[ssl.SSLContext | None, bool]:
        """TLS for the next connection, None for a server without; and whether it is another than last time."""
        user, now = self.access.user, self._clock()
        if not self.access.server.startswith("https:"):
            self._compared = now
            return None, False
        certificate, key = user.certificate, user.key
        if self._plugin is not None and certificate is None:
            given = await self._plugin.credential()
            certificate, key = given.certificate, given.key
        elif self._made is not None and now - self._compared < _READ_AGAIN_S:
            return self._made[1], False
        self._compared = now
        signs: Sequence[object] = [_sign(pem) for pem in (self.access.ca, certificate, key)]
        if self._made is not None and self._made[0] == signs:
            return self._made[1], False
        try:
            made = client_context(self.access, certificate, key)
        except BadInput:
            if self._made is None:
                raise
            return self._made[1], False  # one of several files is being rotated: what we have is good for a while
        changed = self._made is not None
        self._made = (signs, made)
        return made, changed

    def renew(self) -> bool:
        """After a 401: forget what may be old. False where nothing could be any newer."""
        user = self.access.user
        self._compared = float("-inf")
        if user.token_file is not None:
            self._looked_at, self._stamp = float("-inf"), None
        if self._plugin is not None:
            self._plugin.forget()
        certificate = user.certificate is not None and user.certificate.path is not None
        return user.token_file is not None or self._plugin is not None or certificate


def _readable_to_all(server: str) -> bool:
    """Whether whoever stands in between can read what is sent: tokens and passwords stay here then, as with kubectl."""
    parts = urlsplit(server)
    if parts.scheme == "https":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname != "localhost"


def _sign(pem: Pem | None) -> object:
    """What changes when a PEM does."""
    if pem is None or pem.path is None:
        return pem.data if pem else None
    try:
        status = pem.path.stat()
    except OSError:
        return None
    return (str(pem.path), status.st_mtime_ns, status.st_ino, status.st_size)


def checked_token(text: str, place: str) -> str:
    """A token without the white space around it. Raises BadInput for one that can't stand in a header."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        what = "the token is empty" if not token else "the token holds characters that no token has"
        raise BadInput(Problem(what, place, "write one token, as it was issued"))
    return token
