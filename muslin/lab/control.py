"""The lab's control socket: one JSON object a line in each direction. Client, and the server's frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable

__all__ = ["MAX_LINE", "ask", "init_pid", "serve"]

MAX_LINE = 1024 * 1024
Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path of a socket through its folder's descriptor: a unix socket's path has at most 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def _connected(path: Path, timeout_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout_s)
        try:
            with _short(path) as short:
                client.connect(short)
        except OSError as error:
            why = "" if isinstance(error, FileNotFoundError) else f": {error.strerror or error}"
            raise Unavailable(Problem(f"the lab is not up{why}", str(path), "muslin lab up")) from error
        yield client


def init_pid(path: Path) -> int:
    """Process id of the lab's first process, as this process sees it. Raises Unavailable."""
    with _connected(path, 5) as client:
        pid, _, _ = struct.unpack("iII", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)


def ask(path: Path, request: Mapping[str, Any], timeout_s: float = 60) -> dict[str, Any]:
    """Send one request and wait for its answer.

    Raises:
        Unavailable: nobody listens, or the answer did not come in time.
        BadInput, Failed: what the lab answered.
    """
    with _connected(path, timeout_s) as client:
        try:
            client.sendall(json.dumps(request).encode() + b"\n")
            line = client.makefile("rb").readline()
        except OSError as error:
            raise Unavailable(Problem("the lab did not answer in time", str(path), "see its logs")) from error
    if not line.endswith(b"\n"):
        raise Unavailable(Problem("the lab ended before it answered", str(path), "see its logs"))
    answer = json.loads(line)
    if "problems" in answer:
        problems = [Problem(**problem) for problem in answer["problems"]]
        raise {"BadInput": BadInput, "Unavailable": Unavailable}.get(answer["error"], Failed)(problems)
    return dict(answer)


async def serve(path: Path, handle: Handler) -> asyncio.Server:
    """Answer requests on `path`, each client in its own task. An old socket file is replaced."""
    with _short(path) as short:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(short)  # noqa: PTH108  one system call
        return await asyncio.start_unix_server(lambda r, w: _client(r, w, handle), short, limit=MAX_LINE)


async def _client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler) -> None:
    try:
        while line := await reader.readline():
            writer.write(json.dumps(await _answer(line, handle)).encode() + b"\n")
            await writer.drain()
    except (ConnectionError, ValueError):
        pass  # the client went away, or sent a line longer than MAX_LINE
    finally:
        writer.close()


async def _answer(line: bytes, handle: Handler) -> Mapping[str, Any]:
    try:
        return await handle(dict(json.loads(line)))
    except MuslinError as error:
        return _refusal(error)
    except (ValueError, TypeError, KeyError) as error:
        problem = Problem(f"the request is wrong: {error!r}", "control socket", "use a client of the same version")
        return _refusal(BadInput(problem))
    except Exception as error:  # noqa: BLE001  one request must not leave its client without an answer
        return _refusal(Failed(Problem(f"the lab could not do it: {error!r}", "the lab's supervisor", "see its log")))


def _refusal(error: MuslinError) -> Mapping[str, Any]:
    kind = next((each for each in ("BadInput", "Unavailable") if type(error).__name__ == each), "Failed")
    problems = [
        {"what": each.what, "where": each.where, "fix": each.fix, "source": each.source} for each in error.problems
    ]
    return {"error": kind, "problems": problems}
