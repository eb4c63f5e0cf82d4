"""Real servers for tests: where their programs are, and processes that end with whoever started them.

A program comes from the folder that MUSLIN_ENGINES names (as it is, or packed as `.xz`), else from what
`scripts/engines/build.sh` built, else from PATH. Nothing is downloaded here.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import lzma
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

__all__ = ["Missing", "Server", "StartFailed", "free_ports", "program", "wait_until", "workspace"]

_BUILT: Final = Path(__file__).parents[2] / "build" / "engines"
_PREFIX: Final = "muslin-engine-"
_START_S: Final = 90.0
# Below the range from which the kernel takes ports of outgoing connections, so that a restarted server finds its own.
_PORTS: Final = range(20000, 32000)


class Missing(Exception):
    """A program that isn't on this machine; the text says what was looked for and what would bring it."""


class StartFailed(Exception):
    """A server that ended or stayed silent while it was started; carries the end of its log."""


@functools.cache
def program(name: str) -> Path:
    """An executable engine, such as `etcd` or `kube-apiserver`.

    Raises:
        Missing: it is nowhere.
    """
    given = os.environ.get("MUSLIN_ENGINES")
    if given:
        plain, packed = Path(given) / name, Path(given) / f"{name}.xz"
        if os.access(plain, os.X_OK):
            return plain
        if packed.is_file():
            return _unpacked(packed, _BUILT / "unpacked" / name)
    if os.access(_BUILT / name, os.X_OK):
        return _BUILT / name
    if found := shutil.which(name):
        return Path(found)
    package = "; for etcd alone, as root: apt-get install etcd-server" if name == "etcd" else ""
    raise Missing(
        f"no {name}: not in MUSLIN_ENGINES ({given or 'not set'}), build/engines or PATH; "
        f"scripts/engines/build.sh makes it where Go is installed{package}"
    )


def _unpacked(packed: Path, target: Path) -> Path:
    """The content of an .xz file, unpacked once; workers at the same time replace each other's whole file."""
    written = packed.stat().st_mtime_ns
    with contextlib.suppress(FileNotFoundError):
        if target.stat().st_mtime_ns == written:
            return target
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "wb") as file, lzma.open(packed) as content:
            shutil.copyfileobj(content, file, 1 << 20)
        partial = Path(name)
        partial.chmod(0o755)
        os.utime(partial, ns=(written, written))
        partial.replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now."""
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                candidate.bind(("127.0.0.1", random.SystemRandom().choice(_PORTS)))
            except OSError:
                candidate.close()
            else:
                held.append(candidate)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


@contextlib.contextmanager
def workspace(name: str) -> Iterator[Path]:
    """A folder for a server's data and keys, gone afterwards; what killed test runs left is removed on the way."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-"))
    lock = os.open(folder / ".owned", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep() -> None:
    """Remove folders whose owner is dead: nobody holds their lock. Young ones may not have taken theirs yet."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < 60:
                continue
            lock = os.open(folder / ".owned", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def wait_until(holds: Callable[[], bool], what: str, *, within_s: float = _START_S) -> None:
    """Ask again and again until it holds; for what tells nobody when it becomes true.

    Raises:
        StartFailed: it did not hold in time.
    """
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise StartFailed(f"waited {within_s:g} s in vain: {what}")
        time.sleep(0.03)


@functools.cache
def _launcher(pid: int) -> ThreadPoolExecutor:
    """The thread that starts this process' servers.

    The kernel's death signal comes when the starting thread ends, not the process; this one lives as long as that.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=f"launcher-{pid}")


class Server:
    """One process of an engine: started, killed, paused and started again with the same command.

    The kernel kills it when the test process dies, however that happens.

    Args:
        command: program and arguments.
        log: file that its output is appended to.
        ready: whether it answers; asked only while the process runs.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, ready: Callable[[], bool]) -> None:
        self.command = [str(each) for each in command]
        self.log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process; None while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            StartFailed: it ended first, or was not ready in time; it does not run then.
        """
        if self.pid is not None:
            raise StartFailed(f"{self.command[0]} runs already")
        with self.log.open("ab") as log:
            guarded = ["setpriv", "--pdeathsig", "KILL", "--", *self.command]
            self._process = (
                _launcher(os.getpid())
                .submit(subprocess.Popen, guarded, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                .result()
            )
        try:
            wait_until(self._answers, f"{self.command[0]} to be ready")
        except BaseException as error:
            self.kill()
            if isinstance(error, StartFailed):
                raise StartFailed(f"{error}\n{self.log_tail()}") from error
            raise

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise StartFailed(f"{self.command[0]} ended while it started")
        return self._ready()

    def log_tail(self, lines: int = 30) -> str:
        """The end of what it wrote."""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End it at once, as a crash would; nothing happens where it does not run."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end in its own way, and wait for that."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            if how is not signal.SIGKILL:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
        process.wait()
        self._process = None

    def restart(self) -> None:
        """Kill it where it runs, and start it again on what it has written."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop it where it stands: connections stay open and nothing answers.

        Returns when it stands: its threads stop one after the other, and one that runs still answers.
        """
        process = self._signal(signal.SIGSTOP)
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if stopped is None or stopped.si_code != os.CLD_STOPPED:
            raise StartFailed(f"{self.command[0]} ended when it was to be paused")

    def resume(self) -> None:
        """Let a paused one go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise StartFailed(f"{self.command[0]} does not run")
        self._process.send_signal(which)
        return self._process
