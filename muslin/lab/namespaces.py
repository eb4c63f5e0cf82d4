"""Network namespaces of a lab: which links and settings each has (values), and making them (shell).

Runs inside the lab's own user, mount and network namespaces; everything goes with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from muslin.errors import Failed, Problem
from muslin.lab.topology import OUTSIDE, ROUTER, SWITCH, Topology

__all__ = ["FOLDER", "NamespacePlan", "add", "inside", "make", "namespace_path", "plan", "remove"]

FOLDER = Path("/run/netns")
"""Where `ip netns` looks too."""
_LONGEST_LINK_NAME = 15
"""IFNAMSIZ less the final zero."""
_QUIET_V6 = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
_FORWARD = ("net.ipv4.ip_forward=1",)
_NODE = (
    *_FORWARD, *_QUIET_V6, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
)  # fmt: skip

Run = Callable[[Sequence[str], bytes], Awaitable[tuple[int, bytes]]]
"""Runs a command with this on stdin; gives exit status and what it printed, errors included."""


@dataclass(frozen=True, slots=True)
class NamespacePlan:
    """What one namespace gets: settings as `key=value`, then lines for `ip -batch`."""

    name: str
    sysctls: tuple[str, ...]
    links: tuple[str, ...]


def namespace_path(name: str) -> Path:
    """The file that stands for a namespace."""
    return FOLDER / name


def plan(topology: Topology) -> tuple[NamespacePlan, ...]:
    """Everything to make after the namespaces exist, the switch first, as it makes the veths of others."""
    switch = ["link set lo up"]
    for index, segment in enumerate(topology.segments):
        mtu = segment.mtu
        switch += [f"link add br{index} mtu {mtu} type bridge forward_delay 0", f"link set br{index} up"]
        ends = [
            (_port(n, node.name), node.name, "eth0") for n, node in enumerate(topology.nodes) if node.segment == index
        ]
        ends.append((ROUTER if index == 0 else f"{ROUTER}{index}", ROUTER, _leg(index)))
        for port, where, leg in ends:
            peer = namespace_path(where)
            switch.append(f"link add {port} mtu {mtu} type veth peer name {leg} mtu {mtu} netns {peer}")
            switch.append(f"link set {port} master br{index} up")
    nodes = [
        NamespacePlan(
            node.name,
            _NODE,
            (
                "link set lo up",
                f"address add {node.address} dev eth0",
                "link set eth0 up",
                f"route add default via {topology.segments[node.segment].router.ip}",
            ),
        )
        for node in topology.nodes
    ]
    widest = max(segment.mtu for segment in topology.segments)
    router = NamespacePlan(
        ROUTER,
        (*_FORWARD, *_QUIET_V6),
        (
            "link set lo up",
            *(
                line
                for index, segment in enumerate(topology.segments)
                for line in (f"address add {segment.router} dev {_leg(index)}", f"link set {_leg(index)} up")
            ),
            f"link add eth1 mtu {widest} type veth peer name eth0 mtu {widest} netns {namespace_path(OUTSIDE)}",
            f"address add {topology.outside_router} dev eth1",
            "link set eth1 up",
        ),
    )
    outside = NamespacePlan(
        OUTSIDE,
        _QUIET_V6,
        (
            "link set lo up",
            f"address add {topology.outside} dev eth0",
            "link set eth0 up",
            *(f"route add {each.prefix} via {topology.outside_router.ip}" for each in topology.segments),
        ),
    )
    return (NamespacePlan(SWITCH, _QUIET_V6, tuple(switch)), *nodes, router, outside)


def _port(number: int, node: str) -> str:
    """A node's port on its bridge: its name, where the kernel takes it as that of an interface."""
    return node if len(node) <= _LONGEST_LINK_NAME and not node.startswith((ROUTER, "br", "port")) else f"port{number}"


def _leg(segment: int) -> str:
    """The router's interface on a segment; eth1 leads outside."""
    return "eth0" if segment == 0 else f"eth{segment + 1}"


def inside(name: str, argv: Sequence[str]) -> list[str]:
    """A command line that runs `argv` in a namespace, keeping the process id that it is started with."""
    return ["nsenter", f"--net={namespace_path(name)}", "--", *argv]


def _touch(name: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = namespace_path(name)
    path.touch()
    return path


async def add(run: Run, name: str) -> Path:
    """Make one empty namespace, its loopback up. Raises Failed."""
    path = _touch(name)
    await _must(run, ["unshare", f"--net={path}", "ip", "link", "set", "lo", "up"], b"", name)
    return path


async def remove(run: Run, name: str) -> None:
    """Remove a namespace; the kernel takes its links when its last process is gone. Absent is success."""
    path = str(namespace_path(name))
    await run(["umount", "--lazy", path], b"")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108  one system call on a tmpfs


async def make(run: Run, topology: Topology) -> None:
    """Make every namespace of the topology and what is in it. Raises Failed with what the kernel said."""
    await asyncio.gather(*(add(run, name) for name in topology.namespaces))
    switch, *others = plan(topology)
    await _fill(run, switch)
    router = next(each for each in others if each.name == ROUTER)
    await _fill(run, router)
    await asyncio.gather(*(_fill(run, each) for each in others if each is not router))


async def _fill(run: Run, each: NamespacePlan) -> None:
    writes = "".join(f"echo {value.partition('=')[2]} >/proc/sys/{_file(value)} && " for value in each.sysctls)
    script = f"{writes}exec {shutil.which('ip') or '/usr/sbin/ip'} -batch -"
    await _must(run, inside(each.name, ["sh", "-c", script]), "\n".join([*each.links, ""]).encode(), each.name)


def _file(setting: str) -> str:
    return setting.partition("=")[0].replace(".", "/")


async def _must(run: Run, argv: Sequence[str], stdin: bytes, name: str) -> None:
    status, output = await run(argv, stdin)
    if status != 0:
        said = output.decode(errors="replace").strip() or subprocess.list2cmdline(argv)
        fix = "see muslin lab status; the kernel needs veth, bridge and network namespaces"
        raise Failed(Problem(f"the namespace can't be made: {said[:500]}", f"namespace {name}", fix))
