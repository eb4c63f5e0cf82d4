"""The lab as a container runtime: a namespace for each pod, and the CNI executable run as runtimes do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runtime.cni
from muslin.errors import BadInput, Failed, Problem
from muslin.lab import namespaces
from muslin.lab.children import Children
from muslin.lab.processes import HOSTS, cni_socket

__all__ = ["CNI_NETWORK", "Pod", "Runtime", "find_executable", "must_be_names"]

CNI_NETWORK = "k8s-pod-network"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PLACE_AND_FIX = re.compile(r"where: (?P<where>.*); fix: (?P<fix>.*)")
_RETRY_S = (0.05, 0.1, 0.2, *[0.4] * 25)
"""Pauses after an answer "try again later" (code 11), as a runtime makes them between attempts."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod to be attached. `name` is unique in `namespace`."""

    node: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None

    @property
    def netns(self) -> str:
        """Name of the pod's network namespace."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class _Sandbox:
    pod: Pod
    container_id: str
    result: Mapping[str, Any]


def find_executable() -> tuple[str, ...]:
    """The CNI executable that set-up has built, else the one in Python."""
    folder = Path(runtime.cni.__file__).parent
    built = folder.parent.parent / "build" / "muslin-cni"
    return (str(built),) if built.exists() else (sys.executable, "-IS", str(folder / "shim.py"))


class Runtime:
    """Pods of the lab. Each request of a pod waits for the one before."""

    def __init__(self, children: Children, executable: tuple[str, ...]) -> None:
        self._children, self._executable = children, executable
        self._sandboxes: dict[str, _Sandbox] = {}
        self._serial = itertools.count(1)
        self._lock: dict[str, asyncio.Lock] = {}

    def list(self) -> list[dict[str, Any]]:
        """Pods that are attached, with what ADD answered."""
        return [
            {
                "node": each.pod.node,
                "namespace": each.pod.namespace,
                "name": each.pod.name,
                "netns": each.pod.netns,
                "container_id": each.container_id,
                "result": each.result,
            }
            for each in self._sandboxes.values()
        ]

    async def add(self, pod: Pod) -> dict[str, Any]:
        """Make the pod's namespace and execute ADD; gives the CNI result.

        Raises:
            BadInput: the pod is there already, or its name can't be one.
            Failed: the plugin refused; its error is told, DEL was executed and the namespace is gone.
        """
        must_be_names(pod)
        async with self._lock.setdefault(pod.netns, asyncio.Lock()):
            if pod.netns in self._sandboxes:
                problem = Problem("the pod is there already", f"pod {pod.namespace}/{pod.name}", "remove it first")
                raise BadInput(problem)
            container = hashlib.sha256(f"{pod.netns}.{next(self._serial)}".encode()).hexdigest()
            await namespaces.add(self._children.run, pod.netns)
            try:
                result = await self._call("ADD", pod, container, None)
            except Failed:
                with contextlib.suppress(Failed):  # the first cause is told
                    await self._forget(pod, container, None)
                raise
            self._sandboxes[pod.netns] = _Sandbox(pod, container, result)
            self._write_hosts()
            return result

    async def check(self, namespace: str, name: str) -> None:
        """Execute CHECK. Raises Failed with what the plugin found."""
        sandbox = self._found(namespace, name)
        await self._call("CHECK", sandbox.pod, sandbox.container_id, sandbox.result)

    async def remove(self, namespace: str, name: str) -> None:
        """Execute DEL and remove the pod's namespace. Raises BadInput, Failed."""
        sandbox = self._found(namespace, name)
        async with self._lock[sandbox.pod.netns]:
            await self._forget(sandbox.pod, sandbox.container_id, sandbox.result)
            self._sandboxes.pop(sandbox.pod.netns, None)
            self._write_hosts()

    def _write_hosts(self) -> None:
        names = {
            f"{each.pod.name}.{each.pod.namespace}": str(each.result["ips"][0]["address"]).split("/")[0]
            for each in self._sandboxes.values()
            if each.result.get("ips")
        }
        fresh = HOSTS.with_suffix(".new")
        fresh.write_text(json.dumps(names))
        fresh.rename(HOSTS)

    async def _forget(self, pod: Pod, container: str, result: Mapping[str, Any] | None) -> None:
        try:
            await self._call("DEL", pod, container, result)
        finally:
            await namespaces.remove(self._children.run, pod.netns)

    def _found(self, namespace: str, name: str) -> _Sandbox:
        sandbox = self._sandboxes.get(f"{namespace}.{name}")
        if sandbox is None:
            known = ", ".join(sorted(self._sandboxes)) or "none"
            raise BadInput(Problem("there is no such pod", f"pod {namespace}/{name}", f"pods that are there: {known}"))
        return sandbox

    async def _call(self, command: str, pod: Pod, container: str, previous: Mapping[str, Any] | None) -> dict[str, Any]:
        network: dict[str, Any] = {
            "cniVersion": "1.0.0",
            "name": CNI_NETWORK,
            "type": "muslin",
            "ipam": {"type": "calico-ipam"},
            "pod": {"namespace": pod.namespace, "name": pod.name, "labels": dict(pod.labels)},
        }
        if pod.service_account:
            network["pod"]["serviceAccountName"] = pod.service_account
        if previous is not None:
            network["prevResult"] = previous
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": str(namespaces.namespace_path(pod.netns)),
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(Path(self._executable[0]).parent),
            "CNI_ARGS": "",
            "MUSLIN_CNI_SOCKET": str(cni_socket(pod.node)),
        }
        argv = namespaces.inside(pod.node, self._executable)
        for pause_s in (*_RETRY_S, None):
            status, output, errors = await self._children.run_split(argv, json.dumps(network).encode(), environment)
            if status == 0:
                return json.loads(output) if output.strip() else {}
            error = _error(output, errors)
            if error.get("code") != 11 or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        what, where = f"CNI {command} failed: {error.get('msg')}", f"pod {pod.namespace}/{pod.name} on {pod.node}"
        details = str(error.get("details"))
        if told := _PLACE_AND_FIX.fullmatch(details):
            where, details = f"{where}: {told['where']}", told["fix"]
        raise Failed(Problem(what, where, details))


def must_be_names(pod: Pod) -> None:
    """Names as Kubernetes has them, without dots; they become part of a path. Raises BadInput."""
    fix = "lower-case letters, digits and '-', 63 at most; for example demo.client"
    problems = [
        Problem(f"{name!r} is not the name of a {kind}", "pod as NAMESPACE.NAME", fix)
        for kind, name in (("namespace", pod.namespace), ("pod", pod.name))
        if not _LABEL.fullmatch(name)
    ]
    if problems:
        raise BadInput(problems)


def _error(output: bytes, errors: bytes) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    text = (output + errors).decode(errors="replace")[:500]
    return {"code": 999, "msg": "the plugin printed no JSON", "details": text or "nothing was printed"}
