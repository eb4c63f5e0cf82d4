"""Credentials from a program, as kubectl gets them: no shell, a bounded time, and kept until they end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from muslin.errors import BadInput, Failed, Problem, Unavailable
from muslin.kubernetes.access import ExecPlugin, Pem
from muslin.kubernetes.login import checked_token

__all__ = ["ExecCredentials"]

_LONGEST_S = 30.0
"""A plugin may open a browser elsewhere or ask a slow service; a hanging one must not hold us for ever."""
_MOST = 1 << 20
_BEFORE = timedelta(seconds=10)
"""Credentials are renewed this long before they end, so that a request does not meet their end on its way."""


@dataclass(frozen=True, slots=True)
class _Given:
    token: str | None = field(repr=False)
    certificate: Pem | None
    key: Pem | None = field(repr=False)
    ends: datetime | None


class ExecCredentials:
    """What one plugin gives; the program runs when there is nothing valid, once for all who wait.

    Args:
        plugin: what to run.
        longest_s: time it may take.
    """

    def __init__(self, plugin: ExecPlugin, longest_s: float = _LONGEST_S) -> None:
        self._plugin, self._longest_s = plugin, longest_s
        self._given: _Given | None = None
        self._running = asyncio.Lock()

    async def credential(self) -> _Given:
        """Valid credentials. Raises BadInput for a plugin that can't work, Failed or Unavailable if it did not."""
        if (given := self._valid()) is not None:
            return given
        async with self._running:
            if (given := self._valid()) is None:
                given = self._given = self._read(await self._run())
            return given

    def forget(self) -> None:
        """The server did not accept what we have."""
        self._given = None

    def _valid(self) -> _Given | None:
        given = self._given
        if given is None or (given.ends is not None and datetime.now(UTC) >= given.ends - _BEFORE):
            return None
        return given

    async def _run(self) -> bytes:
        plugin = self._plugin
        environment = {**os.environ, **dict(plugin.environment)}
        program = shutil.which(plugin.command, path=environment.get("PATH"))
        if program is None:
            fix = plugin.hint or "install it, or correct the command"
            raise BadInput(Problem(f"the credential plugin {plugin.command} is not there", plugin.place, fix))
        info: dict[str, Any] = {
            "apiVersion": plugin.api_version,
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }
        if plugin.cluster is not None:
            info["spec"]["cluster"] = plugin.cluster
        environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
        try:
            process = await asyncio.create_subprocess_exec(
                program, *plugin.arguments, env=environment, start_new_session=True, limit=_MOST,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            what = f"the credential plugin {plugin.command} can't be started: {error.strerror}"
            raise BadInput(Problem(what, plugin.place, "check that it is a program for this machine")) from error
        try:
            async with asyncio.timeout(self._longest_s):
                out, err = await process.communicate()
        except TimeoutError as error:
            what = f"the credential plugin {plugin.command} gave nothing within {self._longest_s:g} s"
            raise Unavailable(Problem(what, plugin.place, "run it by hand and see what it waits for")) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # also what it started
                await process.wait()
        if process.returncode:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it printed nothing"]
            what = f"the credential plugin {plugin.command} ended with status {process.returncode}: {last[0][:300]}"
            raise Failed(Problem(what, plugin.place, "run it by hand; it may want a new login"))
        return out

    def _read(self, out: bytes) -> _Given:
        plugin = self._plugin
        try:
            told = json.loads(out)
            status = told["status"]
            version = told["apiVersion"]
            token, certificate, key, ends = (
                status.get(name) for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
            )
            until = None if ends is None else _moment(ends)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._wrong("printed what is no ExecCredential with a status") from error
        if version != plugin.api_version:
            raise self._wrong(f"speaks {version}, and the kubeconfig says {plugin.api_version}")
        if not token and not (certificate and key):
            raise self._wrong("gave neither a token nor a certificate with its key")
        place = f"{plugin.place} (given by {plugin.command})"
        return _Given(
            checked_token(str(token), place) if token else None,
            Pem(f"{place} certificate", str(certificate).encode()) if certificate else None,
            Pem(f"{place} key", str(key).encode()) if key else None,
            until,
        )

    def _wrong(self, what: str) -> Failed:
        plugin = self._plugin
        return Failed(
            Problem(
                f"the credential plugin {plugin.command} {what}", plugin.place, "update the plugin or the kubeconfig"
            )
        )


def _moment(text: str) -> datetime:
    """A time of RFC 3339."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
