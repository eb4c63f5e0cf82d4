"""What a lab could leave on the machine, seen with the machine's own tools, and what it may not touch."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["environment", "left", "machine", "processes"]

_SETTINGS = ("ipv4/ip_forward", "ipv4/conf/all", "ipv4/conf/default", "ipv6/conf/all", "netfilter")


def _told(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20).stdout


def _without_lifetimes(found: Any) -> Any:
    """Addresses and links without what counts down or up by itself."""
    counting = {"valid_life_time", "preferred_life_time", "stats", "stats64"}
    if isinstance(found, dict):
        return {name: _without_lifetimes(value) for name, value in found.items() if name not in counting}
    return [_without_lifetimes(each) for each in found] if isinstance(found, list) else found


def _settings() -> dict[str, str]:
    found = {}
    for name in _SETTINGS:
        path = Path("/proc/sys/net", name)
        for file in [path] if path.is_file() else sorted(path.glob("*")):
            with contextlib.suppress(OSError):
                found[str(file)] = file.read_text()
    return {name: value for name, value in found.items() if "conntrack_count" not in name}


def machine() -> dict[str, Any]:
    """The network of the machine itself, which a lab never touches. Other labs of the machine are not in it."""
    return {
        "links": _without_lifetimes(json.loads(_told("ip", "-json", "link") or "[]")),
        "addresses": _without_lifetimes(json.loads(_told("ip", "-json", "address") or "[]")),
        "routes": json.loads(_told("ip", "-json", "route", "show", "table", "all") or "[]"),
        "rules": json.loads(_told("ip", "-json", "rule") or "[]"),
        "tables": _told("nft", "list", "tables"),
        "named": _told("ip", "netns"),
        "settings": _settings(),
    }


def environment(folder: Path) -> dict[str, str]:
    """Ours, for a `muslin` whose labs and temporary files are in `folder`: what it starts carries it as a mark."""
    for each in ("state", "tmp"):
        (folder / each).mkdir(exist_ok=True)
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "TMPDIR": str(folder / "tmp"), "HOME": str(folder)}


def processes(folder: Path) -> list[str]:
    """Processes that were started with `environment(folder)`, or by such ones, as `pid command`."""
    mark, found = f"XDG_STATE_HOME={folder / 'state'}".encode(), []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{entry.name} {words}")
    return found


def left(folder: Path) -> dict[str, list[str]]:
    """What is there of labs whose state is in `folder`: nothing, once they are down.

    Namespaces, interfaces and nftables tables of a lab live as long as a process or a mount holds them.
    """
    with Path("/proc/self/mounts").open(encoding="utf-8") as mounts:
        mounted = [line for line in mounts if str(folder) in line or "nsfs" in line]
    files = sorted(str(each) for part in ("state", "tmp") for each in (folder / part).rglob("*"))
    return {"processes": processes(folder), "files": files, "mounts": mounted}
