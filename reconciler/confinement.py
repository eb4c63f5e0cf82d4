"""What this process and all that it starts may do, told to the kernel: Landlock, no-new-privileges, limits.

Landlock takes rights away from a process for ever, and from its children: files outside `writes` cannot be made,
changed or removed, and no program but `programs` can be started, whatever makes git try. A kernel without Landlock
(before 5.13, or switched off) is said and not fatal: the argument lists hold without it.

Source: Linux, Documentation/userspace-api/landlock.rst; linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import struct
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from reconciler.remotes import Transport

__all__ = ["confine", "fetching", "limit", "reading"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_CHANGES: Final = sum(1 << bit for bit in range(4, 13))
"""Remove a folder or file; make a character device, folder, file, socket, FIFO, block device, link."""
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_CONNECT: Final = 1 << 1
"""Of the rights on the network."""
_REFER_SINCE, _TRUNCATE_SINCE, _CONNECT_SINCE = 2, 3, 4
_MEMORY: Final = 4 << 30


def limit(*, largest_file: int, memory: int = _MEMORY) -> None:
    """Limits for this process and its children: no file grows beyond this, so that one pack cannot fill the disk.

    Args:
        largest_file: bytes.
        memory: bytes of address space of each process.
    """
    for what, wanted in (
        (resource.RLIMIT_FSIZE, largest_file), (resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def fetching(
    transports: Collection[Transport], *, signatures: bool, path: str | None, signs: bool = False
) -> tuple[Path, ...]:
    """The programs that fetching needs: git, its transport, a shell where git starts the transport through one.

    Pushing needs none beyond these, `signs` the one that signs. `signatures`: whether any are checked.
    """
    names = ["git"]
    if Transport.SSH in transports:
        names += ["ssh"]
    if signatures or signs:
        names += ["ssh-keygen"]
    if signatures:
        names += ["gpgv"]
    parts = []
    if Transport.HTTPS in transports:
        parts += ["git-remote-https", "git-remote-http"]
    if Transport.FILE in transports:
        parts += ["git-upload-pack"]
    shell = [Path("/bin/sh")] if {Transport.SSH, Transport.FILE} & set(transports) else []
    return (*_found(names, path), *_parts_of_git(parts, path), *shell)


def reading(path: str | None) -> tuple[Path, ...]:
    """The programs that reading a mirror needs: git itself."""
    return (*_found(["git"], path), *_parts_of_git([], path))


def confine(
    *, programs: Iterable[Path], writes: Iterable[Path] | None, fills: Iterable[Path] = (), connects: bool = True
) -> str | None:
    """From here on only these programs are started and only these folders are written; gives why not, where not.

    Args:
        programs: files.
        writes: folders that are there; None leaves writing as it is.
        fills: folders in which files that are there may be written to, and nothing be made or removed.
        connects: whether TCP connections may be opened; refusing that needs Landlock 4 (Linux 6.7).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return f"not confined by the kernel: no-new-privileges: {os.strerror(ctypes.get_errno())}"
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return f"not confined by the kernel: Landlock: {os.strerror(ctypes.get_errno())}"
    changes = _WRITE_FILE | _CHANGES
    changes |= (_REFER if version >= _REFER_SINCE else 0) | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0)
    handled = _EXECUTE | (0 if writes is None else changes)
    attributes = struct.pack("=Q", handled)
    if not connects and version >= _CONNECT_SINCE:
        attributes += struct.pack("=Q", _CONNECT)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        return f"not confined by the kernel: Landlock: {os.strerror(ctypes.get_errno())}"
    try:
        rules = [(path, _EXECUTE) for path in (*programs, *_loaders())]
        if writes is not None:
            rules += [(path, changes) for path in writes]
            rules += [(path, _WRITE_FILE) for path in (Path(os.devnull), *fills)]
        for path, access in rules:
            _allow(libc, ruleset, path, access)
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
            return f"not confined by the kernel: Landlock: {os.strerror(ctypes.get_errno())}"
    except OSError as error:
        return f"not confined by the kernel: Landlock: {error}"
    finally:
        os.close(ruleset)
    return None


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", access, there)
        if libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(there)


def _found(names: Iterable[str], path: str | None) -> list[Path]:
    found = [shutil.which(name, path=path) for name in names]
    return [Path(each).resolve() for each in found if each is not None]


def _parts_of_git(names: Iterable[str], path: str | None) -> list[Path]:
    """Git's own programs, beside the git that is found: `lib/git-core` or `libexec/git-core`."""
    git = shutil.which("git", path=path)
    if git is None:
        return []
    prefixes = {Path(git).parent.parent, Path(git).resolve().parent.parent}
    places = [prefix / room / "git-core" for prefix in prefixes for room in ("lib", "libexec")]
    return [(place / name).resolve() for place in places for name in ("git", *names) if (place / name).is_file()]


def _loaders() -> list[Path]:
    """The kernel starts these for every dynamically linked program."""
    rooms = [Path("/lib64"), Path("/lib"), Path("/usr/lib64"), *Path("/lib").glob("*-linux-gnu*")]
    return [loader.resolve() for room in rooms for loader in room.glob("ld-*.so*") if loader.is_file()]
