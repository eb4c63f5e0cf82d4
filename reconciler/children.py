"""One child process at a time, limited in time and in what is kept of its output: the fetcher's only way to run git.

Its whole process group ends with it, so that nothing that it started is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["NOT_STARTED", "TIMED_OUT", "Ran", "run"]

TIMED_OUT: Final = -1000
"""Status of a child that was ended because it took too long."""
NOT_STARTED: Final = -1001
"""Status of a program that is not there, or that the kernel lets nobody here start."""

_KEPT: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """How a child ended. `output` is the end of what it wrote; `whole` says that it is all of it."""

    status: int
    output: bytes
    errors: str
    whole: bool = True

    @property
    def text(self) -> str:
        """The output as text."""
        return self.output.decode("utf-8", "replace")

    @property
    def told(self) -> str:
        """What it complained of, on one printable line: its first `fatal` or `error`, else the last line.

        Where git only says that the other program failed, that one's own first line stands before it.
        """
        lines = ["".join(c if c.isprintable() else " " for c in line).strip() for line in self.errors.splitlines()]
        lines = [line for line in lines if line]
        blamed = [line for line in lines if line.startswith(("fatal:", "error:"))]
        said = (blamed or lines[-1:] or [""])[0]
        if "Could not read from remote repository" in said and lines[0] != said:
            said = f"{lines[0]}; {said}"
        return said[:500]


async def run(
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    keep: int = _KEPT,
    handed: tuple[int, ...] = (),
    stdin: Path | None = None,
) -> Ran:
    """Run a program to its end.

    Args:
        command: the argument list; no shell reads it.
        environment: the whole environment.
        folder: where it runs.
        timeout_s: after this it and all that it started are killed.
        keep: bytes of output that are kept, from the end.
        handed: descriptors that it inherits.
        stdin: a file that it reads as standard input.
    """
    with contextlib.ExitStack() as files:
        given = asyncio.subprocess.DEVNULL if stdin is None else files.enter_context(stdin.open("rb")).fileno()
        try:
            return await _ended(command, environment, folder, timeout_s, keep, handed, given)
        except (FileNotFoundError, PermissionError) as error:
            said = f"{Path(command[0]).name} cannot be started: {error.strerror}; install it as a program, not a script"
            return Ran(NOT_STARTED, b"", said, whole=False)


async def _ended(  # noqa: PLR0917  the arguments of `run`
    command: tuple[str, ...],
    environment: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    keep: int,
    handed: tuple[int, ...],
    stdin: int,
) -> Ran:
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=folder,
        start_new_session=True,
        pass_fds=handed,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        async with asyncio.timeout(timeout_s):
            (output, whole), (errors, _), status = await asyncio.gather(
                _end(child.stdout, keep), _end(child.stderr, _KEPT), child.wait()
            )
    except TimeoutError:
        return Ran(TIMED_OUT, b"", f"{Path(command[0]).name} took longer than {timeout_s:g} s", whole=False)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    return Ran(status, output, errors.decode("utf-8", "replace"), whole)


async def _end(stream: asyncio.StreamReader, keep: int) -> tuple[bytes, bool]:
    """The end of a stream; the rest is read and dropped, so that a talkative server fills no memory."""
    parts: list[bytes] = []
    size, whole = 0, True
    while chunk := await stream.read(65536):
        parts.append(chunk)
        size += len(chunk)
        while size - len(parts[0]) >= keep:
            size -= len(parts.pop(0))
            whole = False
    kept = b"".join(parts)
    return kept[-keep:], whole and len(kept) <= keep
