"""`muslin lab up|down|status|exec|shell` as functions; the command line only wraps them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from muslin.errors import BadInput, Failed, MuslinError, Problem
from muslin.lab import control, world
from muslin.lab.processes import HOSTS, probe
from muslin.lab.seed import seed
from muslin.lab.state import StateFolder
from muslin.lab.topology import Topology
from reconciler.fetcher import WAKE_FIFO
from reconciler.hook import install

__all__ = [
    "add_pod", "ask", "command", "down", "execute", "must_be_down", "remove_pod", "shell", "start",
    "start_dns", "status", "up",
]  # fmt: skip


def up(topology: Topology) -> StateFolder:
    """Bring a lab up and wait until its processes are started.

    Raises:
        BadInput: a lab of this name is up.
        Failed: the machine forbids it, or something could not be made; nothing but the lab's logs is left then.
    """
    must_be_down(topology.name)
    flags = world.way_in()
    state = StateFolder.of(topology.name)
    _remove(state)
    state.create()
    try:
        state.topology.write_text(topology.to_json())
        _make_repository(state)
        asyncio.run(seed(state.datastore))
        world.start(state, flags)
    except MuslinError:
        world.stop(state)
        raise
    except BaseException:  # Ctrl-C: nobody will read the logs
        world.stop(state)
        _remove(state)
        raise
    return state


def must_be_down(name: str) -> None:
    """Raise BadInput if a lab of this name is up, or coming up."""
    state = StateFolder.of(name)
    if world.outermost_pid(state) is not None:
        option = "" if name == "lab" else f" --name {name}"
        raise BadInput(Problem(f"the lab {name} is up already", str(state.path), f"muslin lab down{option}"))


def down(name: str) -> bool:
    """Take a lab down and remove its folder. False where there was none. Raises BadInput for what is no name."""
    state = _state(name)
    was_up = world.stop(state)
    return _remove(state) or was_up


def ask(lab: str, op: str, **arguments: Any) -> dict[str, Any]:
    """Ask a lab's supervisor; see `muslin.lab.supervisor` for what. Raises MuslinError."""
    return control.ask(_state(lab).control, {"op": op, **arguments})


def status(name: str) -> Mapping[str, Any]:
    """Nodes, processes and pods of a lab. Raises Unavailable where it is not up."""
    return ask(name, "status")


def add_pod(name: str, node: str, namespace: str, pod: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Attach a pod by executing the CNI plugin; gives the CNI result. Raises MuslinError with what the plugin said."""
    answer = ask(name, "add-pod", node=node, namespace=namespace, name=pod, labels=dict(labels or {}))
    return dict(answer["result"])


def remove_pod(name: str, namespace: str, pod: str) -> None:
    """End what runs in a pod and detach it by executing the CNI plugin."""
    ask(name, "remove-pod", namespace=namespace, name=pod)


def start(name: str, process: str, namespace: str, argv: Sequence[str], *, restart: bool = False) -> Path:
    """Start a process in a pod, on a node or outside; gives the file that its output goes to."""
    ask(name, "start", name=process, namespace=namespace, argv=list(argv), restart=restart)
    return StateFolder.of(name).logs / f"{process}.log"


def start_dns(name: str, node: str) -> str:
    """Run the DNS server as pod kube-system/dns on a node; gives its address."""
    result = add_pod(name, node, "kube-system", "dns", {"k8s-app": "kube-dns"})
    start(name, "dns", "kube-system.dns", probe("dns", "--hosts", str(HOSTS)), restart=True)
    return str(result["ips"][0]["address"]).split("/")[0]


def command(name: str, namespace: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a node, a pod (`<namespace>.<pod>`), the router or the outside host.

    Raises:
        Unavailable: the lab is not up.
        BadInput: there is no such place; it says which there are.
    """
    state = _state(name)
    control.ask(state.control, {"op": "namespace", "name": namespace})
    if argv and shutil.which(argv[0], path=world.environment()["PATH"]) is None:
        fix = "give the name of a program in PATH, or its whole path; a lab has the programs of this machine"
        raise BadInput(Problem("there is no such program", argv[0], fix))
    return world.enter(control.init_pid(state.control), namespace, argv)


def execute(
    name: str, namespace: str, argv: Sequence[str], *, capture: bool = False, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a place of the lab to its end. With `capture`, its output is in the result."""
    line = command(name, namespace, argv)
    return subprocess.run(
        line, env=world.environment(), capture_output=capture, text=True, check=False, timeout=timeout_s
    )


def shell(name: str, namespace: str) -> int:
    """An interactive shell in a place of the lab; gives its exit status."""
    prompt = {**world.environment(), "PS1": f"{namespace}@{name}# ", "PROMPT_COMMAND": ""}
    line = command(name, namespace, ["bash", "--norc"] if shutil.which("bash") else ["sh"])
    return subprocess.run(line, env=prompt, check=False).returncode


def _state(name: str) -> StateFolder:
    """The folder of a lab, if this can be the name of one: it becomes part of a path. Raises BadInput."""
    return StateFolder.of(Topology.of(name=name).name)


def _make_repository(state: StateFolder) -> None:
    argv = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(state.repository)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        fix = "apt-get install git"
        raise Failed(Problem(f"the repository can't be made: {done.stderr.strip()}", str(state.repository), fix))
    install(state.repository, state.mirror / WAKE_FIFO)


def _remove(state: StateFolder) -> bool:
    if not state.path.is_dir() or state.path.is_symlink() or state.path.stat().st_uid != os.geteuid():
        return False
    shutil.rmtree(state.path)
    with contextlib.suppress(OSError):  # other labs are in it
        state.path.parent.rmdir()
    return True
