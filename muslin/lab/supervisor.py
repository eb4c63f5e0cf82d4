"""The lab's first process: makes the namespaces, keeps the processes running, runs pods, obeys the control socket.

Started by `muslin.lab.world` as process 1 of new user, mount, process and network namespaces. When it ends, by
whatever reason, the kernel ends everything in them. It polls nothing.

Usage: python -m muslin.lab.supervisor STATE_FOLDER
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muslin.errors import BadInput, Failed, MuslinError, Problem
from muslin.lab import control, namespaces
from muslin.lab.children import Children
from muslin.lab.pods import Pod, Runtime, find_executable, must_be_names
from muslin.lab.processes import Process, commands, run_folder
from muslin.lab.seed import seed
from muslin.lab.state import StateFolder
from muslin.lab.topology import POD_NAMESPACES, Topology

__all__ = ["Supervisor", "main"]

_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before restarts; the first again once a process has lived for `_STEADY_S`."""
_STEADY_S = 10.0
_GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""


@dataclass
class _Running:
    """A declared process: the task that keeps it, and what is known of its present life."""

    process: Process
    task: asyncio.Task[None] | None = None
    pid: int | None = None
    starts: int = 0
    last_status: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Keeps declared processes running. Logs are in `logs`, one file a process."""

    def __init__(self, children: Children, logs: Path, *, clock: Any = time.monotonic) -> None:
        self._children, self._logs, self._clock = children, logs, clock
        self._running: dict[str, _Running] = {}

    def status(self) -> list[dict[str, Any]]:
        """Every declared process, in the order of starting."""
        return [
            {
                "name": name,
                "namespace": each.process.namespace,
                "pid": each.pid,
                "starts": each.starts,
                "last_status": each.last_status,
                "log": str(self._log(name)),
            }
            for name, each in self._running.items()
        ]

    async def start(self, process: Process) -> None:
        """Start a process and keep it running, as it declares. Raises BadInput where the name is taken."""
        old = self._running.get(process.name)
        if old is not None and not old.ended.is_set():
            raise BadInput(Problem("the process is there already", f"process {process.name}", "choose another name"))
        running = self._running[process.name] = _Running(process)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        running.task = asyncio.create_task(self._keep(running, started))
        await started

    async def stop(self, name: str) -> None:
        """End a process and don't start it again: SIGTERM, and SIGKILL after a grace. Ended is success."""
        running = self._found(name)
        if running.task is None or running.ended.is_set():
            return
        pid = running.pid
        running.process = Process(name, running.process.argv, running.process.namespace, restart=False)
        if pid is None:
            running.task.cancel()
        else:
            _signal(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(_GRACE_S):
                await running.ended.wait()
        except TimeoutError:
            if running.pid is not None:
                _signal(running.pid, signal.SIGKILL)
            await running.ended.wait()

    async def stop_all(self) -> None:
        """End everything, at once: no process needs another one to end."""
        await asyncio.gather(*(self.stop(name) for name in self._running))

    async def stop_in(self, namespace: str) -> None:
        """End what was started in a namespace."""
        for name in [name for name, each in self._running.items() if each.process.namespace == namespace]:
            await self.stop(name)
            del self._running[name]

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process, which will be restarted if it dies; gives the process id that got it."""
        running = self._found(name)
        if running.pid is None:
            raise BadInput(Problem("the process is not running now", f"process {name}", "see muslin lab status"))
        _signal(running.pid, number)
        return running.pid

    async def wait(self, name: str) -> int:
        """Wait until a process that is not restarted has ended; gives its status."""
        running = self._found(name)
        await running.ended.wait()
        return running.last_status or 0

    def _found(self, name: str) -> _Running:
        running = self._running.get(name)
        if running is None:
            known = ", ".join(self._running) or "none"
            raise BadInput(Problem("there is no such process", f"process {name}", f"processes that are there: {known}"))
        return running

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    async def _keep(self, running: _Running, started: asyncio.Future[None]) -> None:
        failures = 0
        try:
            while True:
                argv: Sequence[str] = running.process.argv
                if running.process.namespace is not None:
                    argv = namespaces.inside(running.process.namespace, argv)
                environment = {**os.environ, **running.process.environment}
                born = self._clock()
                child = await self._children.start_logged(argv, environment, self._log(running.process.name))
                running.pid = child.pid
                running.starts += 1
                if not started.done():
                    started.set_result(None)
                running.last_status = await self._children.ended(child)
                running.pid = None
                if not running.process.restart:
                    return
                failures = 0 if self._clock() - born >= _STEADY_S else failures + 1
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1] if failures else 0)
        except OSError as error:
            problem = Problem(f"it can't be started: {error.strerror}", f"process {running.process.name}", "see argv")
            if not started.done():
                started.set_exception(BadInput(problem))
        finally:
            running.ended.set()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class _Lab:
    """What the control socket can ask for."""

    def __init__(self, topology: Topology, supervisor: Supervisor, runtime: Runtime, datastore: Path) -> None:
        self._topology, self._supervisor, self._runtime, self._datastore = topology, supervisor, runtime, datastore
        self._seeded = set(POD_NAMESPACES)
        self.over = asyncio.Event()

    async def handle(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request by its `op`."""
        match request["op"]:
            case "status":
                nodes = [{"name": node.name, "address": str(node.address)} for node in self._topology.nodes]
                pods, processes = self._runtime.list(), self._supervisor.status()
                return {"name": self._topology.name, "nodes": nodes, "processes": processes, "pods": pods}
            case "namespace":
                return {"path": str(self._namespace(str(request["name"])))}
            case "add-pod":
                labels = {str(key): str(value) for key, value in dict(request.get("labels", {})).items()}
                node, namespace, name = (str(request[key]) for key in ("node", "namespace", "name"))
                self._must_be_node(node)
                pod = Pod(node, namespace, name, labels, request.get("service_account"))
                await self._seed(pod)
                return {"result": await self._runtime.add(pod), "netns": pod.netns}
            case "check-pod":
                await self._runtime.check(str(request["namespace"]), str(request["name"]))
                return {}
            case "remove-pod":
                await self._supervisor.stop_in(f"{request['namespace']}.{request['name']}")
                await self._runtime.remove(str(request["namespace"]), str(request["name"]))
                return {}
            case "start":
                where = request.get("namespace")
                if where is not None:
                    self._namespace(str(where))
                argv = tuple(str(each) for each in request["argv"])
                process = Process(str(request["name"]), argv, where, restart=bool(request.get("restart", False)))
                if "/" in process.name or not argv:
                    raise BadInput(Problem("a process needs a plain name and a command", process.name, "give both"))
                await self._supervisor.start(process)
                return {}
            case "wait":
                return {"status": await self._supervisor.wait(str(request["name"]))}
            case "stop":
                await self._supervisor.stop(str(request["name"]))
                return {}
            case "kill":
                return {"pid": self._supervisor.kill(str(request["name"]), int(request.get("signal", signal.SIGKILL)))}
            case "down":
                self.over.set()
                return {}
        raise BadInput(Problem(f"{request['op']!r} is not an operation", "control socket", "see muslin.lab.supervisor"))

    async def _seed(self, pod: Pod) -> None:
        """Write the Profile that Kubernetes would give the pod's namespace; without one the pod could do nothing."""
        if pod.namespace not in self._seeded:
            must_be_names(pod)
            await seed(self._datastore, [pod.namespace])
            self._seeded.add(pod.namespace)

    def _must_be_node(self, name: str) -> None:
        names = [node.name for node in self._topology.nodes]
        if name not in names:
            raise BadInput(
                Problem("there is no such node", f"node {name}", f"nodes that are there: {', '.join(names)}")
            )

    def _namespace(self, name: str) -> Path:
        path = namespaces.namespace_path(name)
        if "/" in name or not path.exists():
            known = ", ".join(sorted(each.name for each in namespaces.FOLDER.iterdir()))
            raise BadInput(Problem("there is no such namespace", f"namespace {name}", f"those that are there: {known}"))
        return path


async def _run(state: StateFolder) -> None:
    topology = Topology.from_json(state.topology.read_text())
    children = Children()
    supervisor = Supervisor(children, state.logs)
    lab = _Lab(topology, supervisor, Runtime(children, find_executable()), state.datastore)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, lab.over.set)
    await _private_run(children)
    await namespaces.make(children.run, topology)
    for node in topology.nodes:
        run_folder(node.name).mkdir(mode=0o700, parents=True)
    server = await control.serve(state.control, lab.handle)
    try:
        for process in commands(topology, state):
            await supervisor.start(process)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await lab.over.wait()
    finally:
        await supervisor.stop_all()
        server.close()
        state.control.unlink(missing_ok=True)


async def _private_run(children: Children) -> None:
    """A /run of our own: named namespaces and sockets in it are invisible outside, and go with us."""
    status, output = await children.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=16m", "muslin", "/run"], b"")
    if status != 0:
        fix = "allow user namespaces to mount: see muslin lab up"
        raise Failed(Problem(f"no file system can be mounted: {output.decode(errors='replace')}", "/run", fix))


def main() -> int:
    """Run a lab until it is told to end; gives the exit status."""
    state = StateFolder(Path(sys.argv[1]))
    try:
        asyncio.run(_run(state))
    except MuslinError as error:
        sys.stdout.write(f"failed\n{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
