"""A stack that can be previewed, brought up, refreshed and destroyed: what a person does with the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import yaml
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc

from tests.stacks.engine.differing import cut
from tests.stacks.engine.kubernetes_provider import KubernetesProvider, Refusal
from tests.stacks.engine.launcher import start
from tests.stacks.engine.monitor import Diagnostics, Monitor, Step
from tests.stacks.engine.state import State
from tests.stacks.engine.values import plain, secret_paths
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["Result", "Stack"]

_ROOT: Final = Path(__file__).parents[3]
_LIMIT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What one command did. `error` is empty where all went well."""

    steps: tuple[Step, ...]
    error: str
    outputs: Mapping[str, Any]
    said: tuple[tuple[str, str], ...] = ()
    secret_outputs: frozenset[str] = frozenset()

    def names(self, action: str) -> list[str]:
        """Of the Kubernetes objects that met with this action, in that order."""
        return [each.name for each in self.steps if each.action == action and each.type.startswith("kubernetes:")]


@dataclass(slots=True)
class Stack:
    """One stack of the project in a folder.

    Args:
        folder: with Pulumi.yaml and the program; files are read where they are.
        server: the cluster.
        config: as `pulumi config set` has it; JSON for what is no text.
        secrets: keys that were set with --secret.
        token: whose rights the provider and our look have; the administrator's where None.
    """

    folder: Path
    server: KubeApiserver
    config: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    token: str | None = None
    name: str = "test"
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(str(self._project["name"]), self.name)

    @property
    def _project(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.folder / "Pulumi.yaml").read_text("utf-8"))
        return content

    def preview(self) -> Result:
        """What `up` would do; nothing is written."""
        with self.running(preview=True) as run:
            return run.finished()

    def up(self) -> Result:
        """Bring the cluster in line with the program."""
        with self.running() as run:
            return run.finished()

    @contextmanager
    def running(self, *, preview: bool = False) -> Iterator[Run]:
        """A run under way, for who acts meanwhile; leaving ends it."""
        run = Run(self, preview=preview)
        try:
            yield run
        finally:
            run.close()

    def refresh(self) -> list[str]:
        """Names of the objects that are not as they were left; the state takes over what is there."""
        changed = []
        for each in list(self.state.resources.values()):
            if not each.type.startswith("kubernetes:"):
                continue
            live = self.provider_of(each.provider).read(each.type, plain(each.inputs))
            if live is None:
                changed.append(each.name)
                del self.state.resources[each.urn]
            else:
                if live.get("spec") != each.outputs.get("spec"):
                    changed.append(each.name)
                each.outputs = live
                if not list(secret_paths(each.inputs)):
                    each.inputs = cut(live, plain(each.inputs))
        return changed

    def destroy(self) -> Result:
        """Remove everything, last made first; nothing where something is protected."""
        protected = [each.name for each in self.state.resources.values() if each.protect]
        if protected:
            return Result((), f"resource {', '.join(protected)} cannot be deleted because it is protected", {})
        return Result(tuple(self.remove(list(self.state.resources))), "", {})

    def exported(self) -> dict[str, Any]:
        """As `pulumi stack export`."""
        return self.state.exported()

    def unprotect(self) -> None:
        """As `pulumi state unprotect --all`."""
        self.state.unprotect()

    def remove(self, urns: list[str]) -> list[Step]:
        """Delete these from cluster and state, in the reverse order of their making."""
        steps = []
        for each in [found for found in self.state.last_first() if found.urn in urns]:
            if each.type.startswith("kubernetes:") and not each.retain:
                self.provider_of(each.provider).delete(each.type, each.urn, plain(each.inputs))
            del self.state.resources[each.urn]
            steps.append(Step("retain" if each.retain else "delete", each.urn, each.type))
        return steps

    def provider_of(self, reference: str) -> KubernetesProvider:
        """The provider that the state knows."""
        known = self.state.resources.get(reference.rpartition("::")[0])
        return KubernetesProvider(self.server, plain(known.inputs) if known is not None else {}, self.token)

    def arguments(self) -> tuple[str, dict[str, str]]:
        """The project's name, and the environment of its program."""
        project = self._project
        defaults = {key: each["default"] for key, each in project.get("config", {}).items() if "default" in each}
        values = {
            f"{project['name']}:{key}": each if isinstance(each, str) else json.dumps(each)
            for key, each in {**defaults, **self.config}.items()
        }
        kubeconfig = (
            self.server.kubeconfig if self.token is None else self.server.kubeconfig_for("who", token=self.token)
        )
        return str(project["name"]), {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI")},
            "PYTHONPATH": str(_ROOT),
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_CONFIG": json.dumps(values),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps([f"{project['name']}:{key}" for key in self.secrets]),
        }


class Run:
    """One run of a program.

    Attributes:
        monitor: what it registered so far.
    """

    def __init__(self, stack: Stack, *, preview: bool) -> None:
        self._stack, self._preview = stack, preview
        self.monitor = Monitor(
            stack.state, lambda settings: KubernetesProvider(stack.server, settings, stack.token), preview=preview
        )
        self.diagnostics = Diagnostics()
        self._threads = ThreadPoolExecutor(32)
        self._grpc = grpc.server(self._threads)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self.monitor, self._grpc)
        engine_pb2_grpc.add_EngineServicer_to_server(self.diagnostics, self._grpc)
        address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        project, environment = stack.arguments()
        mode = "preview" if preview else "up"
        self._program = start([address, address, project, stack.name, mode, "__main__.py"], stack.folder, environment)

    @property
    def ended(self) -> bool:
        """Whether the program is gone, well or not."""
        return self._program.ended

    def finished(self) -> Result:
        """Wait for the program's end; after a good one, what it no longer names is removed."""
        printed = self._program.wait(_LIMIT_S)
        self._grpc.stop(None)
        stack, monitor = self._stack, self.monitor
        error = "\n".join([*monitor.failed, self.diagnostics.errors]).strip()
        if self._program.status and not error:
            error = printed
        steps = list(monitor.steps)
        gone = [urn for urn in stack.state.resources if urn not in {*monitor.after.resources, *monitor.renamed}]
        if not error and self._preview:
            steps += [Step("delete", urn, stack.state.resources[urn].type) for urn in reversed(gone)]
        elif not self._preview:
            stale = {urn: stack.state.resources[urn] for urn in gone}
            stack.state.resources = {**stale, **monitor.after.resources}
            if not error:
                protected = [each.name for each in stale.values() if each.protect]
                if protected:
                    error = f"resource {', '.join(protected)} cannot be deleted because it is protected"
                else:
                    try:
                        steps += stack.remove(gone)
                    except Refusal as refusal:
                        error = str(refusal)
        outputs = monitor.outputs.get(f"{stack.state.project}-{stack.name}", {})
        secret = frozenset(path.partition(".")[0] for path in secret_paths(outputs))
        return Result(tuple(steps), error, plain(outputs), tuple(self.diagnostics.said), secret)

    def close(self) -> None:
        """End the program and whatever waits."""
        self.monitor.stop_waiting()
        self._program.kill()
        self._grpc.stop(None)
        self._threads.shutdown(wait=True)
