"""Who may wake the fetcher over HTTP: one shared secret a source, checked as each kind of server sends its proof.

A message is only ever a reason to look: what it says is not read. So a message that is sent again does no harm, and a
secret that leaks lets somebody make us look more often, up to the limit of `Rate`, and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from muslin.errors import BadInput, Problem

__all__ = ["Provider", "Rate", "Secret"]

_SHORTEST: Final = 16
_LONGEST: Final = 4096


class Provider(StrEnum):
    """How a sender proves that it knows the secret, and in which header."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    GENERIC = "generic"


_HEADERS: Final[Mapping[Provider, str]] = {
    Provider.GITHUB: "X-Hub-Signature-256",
    Provider.GITLAB: "X-Gitlab-Token",
    Provider.GITEA: "X-Gitea-Signature",
    Provider.GENERIC: "X-Signature",
}
"""GitLab sends the secret itself, the others the HMAC-SHA256 of the body in hexadecimal digits, GitHub and the generic
one with `sha256=` before it. The generic one is `openssl dgst -sha256 -hmac`."""

_PREFIXED: Final = frozenset({Provider.GITHUB, Provider.GENERIC})


@dataclass(frozen=True, slots=True)
class Secret:
    """One source's secret. Never printed."""

    provider: Provider
    value: bytes = field(repr=False)

    @classmethod
    def read(cls, provider: Provider, path: Path) -> Secret:
        """The secret on the first line of a file. Raises BadInput where it is missing, too short or too long."""
        try:
            with path.open("rb") as file:
                first, _, _ = file.read(_LONGEST + 2).partition(b"\n")
        except OSError as error:
            raise BadInput(
                Problem(f"the secret can't be read: {error.strerror}", str(path), "check the file")
            ) from error
        value = first.strip()
        if not _SHORTEST <= len(value) <= _LONGEST:
            what = f"the secret has {len(value)} characters"
            raise BadInput(
                Problem(what, str(path), f"write {_SHORTEST} or more, for example of `openssl rand -hex 32`")
            )
        return cls(provider, value)

    @property
    def header(self) -> str:
        """Name of the header that carries the proof."""
        return _HEADERS[self.provider]

    def proves(self, given: str | None, body: bytes) -> bool:
        """Whether a header's value proves knowledge of the secret. Takes the same time wherever it differs."""
        told = (given or "").encode("utf-8", "replace")
        if self.provider is Provider.GITLAB:
            return hmac.compare_digest(told, self.value)
        wanted = hmac.new(self.value, body, hashlib.sha256).hexdigest().encode()
        if self.provider in _PREFIXED:
            wanted = b"sha256=" + wanted
        return hmac.compare_digest(told, wanted)


class Rate:
    """How often something may happen: a number at once, and then so many a second.

    Args:
        burst: how many at once.
        each_s: how many a second after that.
    """

    def __init__(self, burst: int, each_s: float) -> None:
        self._burst = float(burst)
        self._each_s = each_s
        self._left = float(burst)
        self._at_s: float | None = None

    def allows(self, now_s: float) -> bool:
        """Whether it may happen now, which then counts. `now_s` is of any clock that only goes forward."""
        if self._at_s is not None:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._each_s)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
