"""The lab's own world: user, mount, process and network namespaces of its own, so that no root is needed.

Killing its first process ends everything in it. What the machine forbids is found out before anything is made, and
told with what to do about it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from muslin.errors import Failed, Problem, Unavailable
from muslin.lab import control
from muslin.lab.namespaces import inside
from muslin.lab.state import StateFolder

__all__ = ["Refusal", "enter", "environment", "outermost_pid", "problem_of", "start", "stop", "way_in"]

_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_USER = ("--user", "--map-root-user")
_START_S, _STOP_S = 30.0, 40.0
_SETTINGS = (
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
    "user/max_user_namespaces",
    "user/max_net_namespaces",
)
_PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2"}
_NOTED = 'echo $$ >"$1" && shift && exec "$@"'
"""A shell script that leaves its process id in a file before it becomes the program: no moment is without it."""
_TRY = "mount -t tmpfs muslin /run && echo 1 >/proc/sys/net/ipv4/ip_forward"


class Refusal(enum.Enum):
    """What this machine does not let us do."""

    NO_USER_NAMESPACE = "user namespaces are forbidden"
    NO_PROC = "a new /proc can't be mounted in a user namespace"
    NO_SYSCTL = "network settings can't be written in a user namespace"


def environment() -> dict[str, str]:
    """Ours, and the folders where ip and nft are, which an ordinary user's PATH leaves out on Debian."""
    return {**os.environ, "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"}


def _works(flags: Sequence[str], script: str) -> bool:
    argv = ["unshare", *flags, "sh", "-c", script]
    done = subprocess.run(argv, env=environment(), capture_output=True, check=False, timeout=20)
    return done.returncode == 0


def way_in() -> tuple[str, ...]:
    """Flags of `unshare` that make a lab's world here.

    Raises:
        Failed: with the reason, and what to do.
    """
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=environment()["PATH"]) is None:
            what = f"the lab can't live here: the program {program} is missing"
            raise Failed(Problem(what, "PATH", f"as root: apt-get install {package}"))
    if _works((*_USER, *_NAMESPACES), _TRY):
        return (*_USER, *_NAMESPACES)
    if os.geteuid() == 0 and _works(_NAMESPACES, _TRY):
        return _NAMESPACES
    if not _works(_USER, "true"):
        refusal = Refusal.NO_USER_NAMESPACE
    elif not _works((*_USER, *_NAMESPACES), "true"):
        refusal = Refusal.NO_PROC
    else:
        refusal = Refusal.NO_SYSCTL
    raise Failed(problem_of(refusal, _settings()))


def _settings() -> dict[str, str]:
    found = {}
    for name in _SETTINGS:
        with contextlib.suppress(OSError):
            found[name] = (Path("/proc/sys") / name).read_text().strip()
    return found


def problem_of(refusal: Refusal, settings: Mapping[str, str]) -> Problem:
    """Why the lab can't live here, from what was refused and the kernel's settings (name under /proc/sys: value)."""
    where, fix = "namespaces of this machine", ""
    # Debian's and Ubuntu's switches; the last ones are the kernel's own limits (namespaces(7)).
    if settings.get("kernel/unprivileged_userns_clone") == "0":
        where, fix = "kernel.unprivileged_userns_clone = 0", "as root: sysctl -w kernel.unprivileged_userns_clone=1"
    elif settings.get("user/max_user_namespaces") == "0":
        where, fix = "user.max_user_namespaces = 0", "as root: sysctl -w user.max_user_namespaces=10000"
    elif settings.get("user/max_net_namespaces") == "0":
        where, fix = "user.max_net_namespaces = 0", "as root: sysctl -w user.max_net_namespaces=10000"
    elif settings.get("kernel/apparmor_restrict_unprivileged_userns") == "1":
        where = "kernel.apparmor_restrict_unprivileged_userns = 1"
        fix = "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    elif refusal is Refusal.NO_USER_NAMESPACE:
        fix = "a container: start it with --privileged or another seccomp profile, or run on the host"
    elif refusal is Refusal.NO_PROC:
        where = "/proc"
        fix = (
            "a container hides parts of /proc: start it with --security-opt systempaths=unconfined, or run on the host"
        )
    else:
        where, fix = (
            "/proc/sys/net",
            "start the container with --security-opt systempaths=unconfined, or run on the host",
        )
    return Problem(f"the lab can't live here: {refusal.value}", where, fix)


def start(state: StateFolder, flags: Sequence[str]) -> int:
    """Start the lab that the folder describes, and wait until it is up; gives the pid of its first process.

    Args:
        state: the lab's folder.
        flags: what `way_in` gave.

    Raises:
        Failed: the lab could not be made; nothing of it runs then.
    """
    log = os.open(state.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            ["sh", "-c", _NOTED, "sh", str(state.pid_file), "unshare", *flags, *_supervisor(state)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            start_new_session=True,
        )
    finally:
        os.close(log)
    assert process.stdout is not None
    said = b""
    try:
        if select.select([process.stdout], [], [], _START_S)[0]:
            said = process.stdout.readline()
        if said != b"ready\n":
            _end(process.pid)
            said += process.stdout.read()
    except BaseException:
        _end(process.pid)
        raise
    finally:
        process.stdout.close()
        if said != b"ready\n":
            process.wait()
    if said != b"ready\n":
        where = state.logs / "supervisor.log"
        told = said.decode(errors="replace").removeprefix("failed\n").strip().splitlines()[:1]
        told = told or where.read_text(errors="replace").strip().splitlines()[-1:]
        what = told[0] if told else f"it was not ready after {_START_S:.0f} s"
        raise Failed(Problem(f"the lab did not come up: {what}", str(where), "see the log; then muslin lab up again"))
    process.returncode = 0  # it goes on without us; `stop` waits for it
    return control.init_pid(state.control)


def _supervisor(state: StateFolder) -> tuple[str, ...]:
    return (sys.executable, "-m", "muslin.lab.supervisor", str(state.path))


def stop(state: StateFolder) -> bool:
    """End the lab: in order if it listens, else by killing its first process. False where it was not up."""
    outermost = outermost_pid(state)
    first = None
    with contextlib.suppress(Unavailable):
        first = control.init_pid(state.control)
    if first is not None:
        with _watched(first) as watch, contextlib.suppress(Unavailable, Failed):
            control.ask(state.control, {"op": "down"}, timeout_s=5)
            select.select(watch, [], [], _STOP_S)
        _kill(first)
    if outermost is not None:
        _end(outermost)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(outermost, 0)  # ours if this process brought the lab up
    return first is not None or outermost is not None


def outermost_pid(state: StateFolder) -> int | None:
    """The process that holds the lab, from the first moment of its start on, also if it does not listen (yet)."""
    try:
        pid = int(state.pid_file.read_text())
        words = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if b"muslin.lab.supervisor" in words and os.fsencode(state.path) in words else None


def _end(outermost: int) -> None:
    """Kill a lab by its outermost process, and wait until everything in it is gone."""
    children = Path("/proc", str(outermost), "task", str(outermost), "children")
    pids = [outermost]
    with contextlib.suppress(OSError):
        pids = [*map(int, children.read_text().split()), outermost]
    for pid in pids:  # the first process of the lab is gone only when all others in it are
        _kill(pid)


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """A descriptor that is readable once the process has ended; none if it has."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        yield []
        return
    try:
        yield [watch]
    finally:
        os.close(watch)


def _kill(pid: int) -> None:
    """SIGKILL, and wait until the process is gone."""
    with _watched(pid) as watches:
        for watch in watches:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(watch, signal.SIGKILL)
            select.select([watch], [], [], _STOP_S)


def enter(pid: int, namespace: str, argv: Sequence[str]) -> list[str]:
    """A command line that runs `argv` in a network namespace of the lab whose first process is `pid`.

    The root directory is that process's: a mount namespace alone would give the machine's, where we were in a chroot.
    """
    ours, theirs = (Path("/proc", each, "ns/user").stat().st_ino for each in ("self", str(pid)))
    user = [] if ours == theirs else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={pid}", *user, "--mount", "--root", "--pid", "--", *inside(namespace, argv)]
