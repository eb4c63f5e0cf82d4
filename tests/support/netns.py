"""Run a test's body in fresh user, network and mount namespaces, and make further network namespaces inside.

The body runs in a forked child: nothing it does reaches the host's network, and everything is gone when it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator
from typing import ParamSpec

import pytest

__all__ = ["entered", "ip", "isolated", "new_namespace", "run"]

Arguments = ParamSpec("Arguments")
_NEW_MOUNT, _NEW_USER, _NEW_NET = 0x00020000, 0x10000000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _isolate() -> None:
    user, group = os.getuid(), os.getgid()
    _unshare(_NEW_USER | _NEW_NET | _NEW_MOUNT)
    for name, content in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(content)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _child(pipe: int, body: Callable[[], None]) -> None:
    outcome = b"passed"
    try:
        try:
            _isolate()
        except OSError as error:
            pytest.skip(f"namespaces can't be made here: {error}")
        body()
    except pytest.skip.Exception as skipped:
        outcome = b"skipped" + str(skipped).encode()
    except BaseException:
        outcome = b"failed" + traceback.format_exc().encode()
    with contextlib.suppress(OSError):
        view = memoryview(outcome)
        while view:
            view = view[os.write(pipe, view) :]
    os._exit(0)


def isolated(body: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Decorator: the test runs in namespaces of its own, marked `netns`, skipped with the reason if that can't be."""

    @pytest.mark.netns
    @functools.wraps(body)
    def test(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(writing, lambda: body(*args, **kwargs))
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            outcome = file.read()
        os.waitpid(child, 0)
        if outcome.startswith(b"skipped"):
            print(outcome[7:].decode())
            pytest.skip(outcome[7:].decode())
        if outcome != b"passed":
            pytest.fail(outcome.removeprefix(b"failed").decode() or "the child died", pytrace=False)

    return test


def new_namespace() -> int:
    """File descriptor of a new network namespace with loopback up; it lives as long as the descriptor."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare(_NEW_NET)
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        ip("link set lo up")
    finally:
        _setns(before)
        os.close(before)
    return made


def _setns(namespace: int) -> None:
    if _libc.setns(namespace, _NEW_NET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """This thread is in the namespace for the block: sockets and programs started in it stay there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _setns(namespace)
    try:
        yield
    finally:
        _setns(before)
        os.close(before)


def run(*command: str, namespace: int | None = None, stdin: str | None = None) -> str:
    """Output of a program that must succeed, here or in another namespace."""
    place = contextlib.nullcontext() if namespace is None else entered(namespace)
    with place:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def ip(command: str, namespace: int | None = None) -> str:
    """Output of an `ip` command."""
    return run("ip", *command.split(), namespace=namespace)
