"""The engine's ends of the wire: what a program registers is carried out at once, what it logs is kept."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from tests.stacks.engine.differing import differs
from tests.stacks.engine.kubernetes_provider import KubernetesProvider, NotReady, Refusal
from tests.stacks.engine.state import Remembered, State
from tests.stacks.engine.values import UNKNOWN, plain, read, written

__all__ = ["Diagnostics", "Monitor", "Step", "check"]

_PROVIDER = "pulumi:providers:kubernetes"


@dataclass(frozen=True, slots=True)
class Step:
    """One resource in one run: `create`, `update`, `same`, `delete`, `retain`."""

    action: str
    urn: str
    type: str
    dependencies: tuple[str, ...] = ()
    begun_after: frozenset[str] = frozenset()
    """URNs that were done when this one began."""

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rpartition("::")[2]


@dataclass(slots=True)
class Diagnostics(engine_pb2_grpc.EngineServicer):
    """What the program said: (severity, text)."""

    said: list[tuple[str, str]] = field(default_factory=list)
    root: str = ""

    @property
    def errors(self) -> str:
        """All errors, one after the other."""
        return "\n".join(text for severity, text in self.said if severity == "ERROR")

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802, D102 - gRPC's name
        self.said.append((engine_pb2.LogSeverity.Name(request.severity), request.message))
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802, D102 - gRPC's name
        return engine_pb2.GetRootResourceResponse(urn=self.root)

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802, D102 - gRPC's name
        self.root = request.urn
        return engine_pb2.SetRootResourceResponse()


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Carries out registrations of one run.

    Args:
        before: the state that the run begins with.
        preview: whether nothing is to be written.
        provider: makes a provider of its inputs.

    Attributes:
        after: the state as it is so far; of a preview, as it would be.
        steps: in the order in which they ended.
        failed: what the provider said of the first resource that could not be.
        outputs: of components, as registered.
        renamed: URNs of the state that a resource of the program had before, by its aliases: nothing is deleted there.
    """

    def __init__(
        self, before: State, provider: Callable[[Mapping[str, Any]], KubernetesProvider], *, preview: bool
    ) -> None:
        self._before, self._preview, self._make = before, preview, provider
        self._providers: dict[str, KubernetesProvider] = {}
        self._lock = threading.Lock()
        self.after = State(before.project, before.stack)
        self.steps: list[Step] = []
        self.failed: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.renamed: set[str] = set()

    def stop_waiting(self) -> None:
        """End what waits for a condition, as its timeout would."""
        for each in self._providers.values():
            each.stopped.set()

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, D102 - gRPC's name
        features = [
            resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
            resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
            resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
            resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
            resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
        ]
        return resource_pb2.DeploymentInfo(supportedFeatures=features)

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802, D102 - gRPC's name
        known = ("secrets", "resourceReferences", "outputValues", "aliasSpecs", "deletedWith")
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in known)

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802, D102 - gRPC's name
        return empty_pb2.Empty()

    def RegisterResourceOutputs(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802, D102 - gRPC's name
        outputs = read(request.outputs)
        self.outputs[request.urn.rpartition("::")[2]] = outputs
        with self._lock:
            self.after.resources[request.urn].outputs = outputs
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, D102 - gRPC's name
        parents = (
            request.parent.split("::")[2] + "$"
            if request.parent and "pulumi:pulumi:Stack" not in request.parent
            else ""
        )
        urn = f"urn:pulumi:{self._before.stack}::{self._before.project}::{parents}{request.type}::{request.name}"
        mine = Remembered(
            urn, request.type, request.custom, read(request.object), parent=request.parent, provider=request.provider,
            dependencies=tuple(request.dependencies), protect=request.protect, retain=request.retainOnDelete,
            hidden=frozenset(request.additionalSecretOutputs),
        )  # fmt: skip
        with self._lock:
            done = frozenset(self.after.resources)
            if urn in done:
                self.failed.append(f"Duplicate resource URN '{urn}'; try giving it a unique name")
            if self.failed:
                context.abort(grpc.StatusCode.UNAVAILABLE, "resource monitor shut down")
        try:
            action = self._carry_out(mine, self._former(mine, parents, request.aliases))
        except Refusal as refusal:
            with self._lock:
                self.failed.append(f"{request.type} {request.name}: {refusal}")
                if isinstance(refusal, NotReady):
                    mine.outputs, mine.unfinished = refusal.made, True
                    self.after.resources[urn] = mine
            context.abort(grpc.StatusCode.UNAVAILABLE, "resource monitor shut down")
        with self._lock:
            self.after.resources[urn] = mine
            self.steps.append(Step(action, urn, request.type, mine.dependencies, done))
        known = {**mine.inputs, **mine.outputs} if mine.custom else mine.inputs
        identity = "" if self._preview and action == "create" else mine.id
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=written(known))

    def _former(self, mine: Remembered, parents: str, aliases: Iterable[Any]) -> Remembered | None:
        """The resource as the state has it, under its URN or one that an alias names: here, by another type only."""
        former = self._before.resources.get(mine.urn)
        for each in aliases:
            urn = mine.urn.replace(f"::{parents}{mine.type}::", f"::{parents}{each.spec.type}::")
            if former is None and (former := self._before.resources.get(urn)) is not None:
                self.renamed.add(urn)
        return former

    def _carry_out(self, mine: Remembered, former: Remembered | None) -> str:
        """Make it so; gives what was done. `mine` learns its id and outputs."""
        if not mine.custom:
            return "same" if former is not None else "create"
        inputs = plain(mine.inputs)
        if mine.type == _PROVIDER:
            same = former is not None and plain(former.inputs) == inputs
            mine.id = former.id if former is not None else str(uuid.uuid4())
            self._providers[mine.urn] = self._make(inputs)
            return "same" if same else "update" if former is not None else "create"
        provider = self._provider(mine.provider)
        mine.id = _identity(inputs)
        if former is not None and former.id != mine.id and UNKNOWN not in mine.id:
            raise Refusal(f"a replacement ({former.id} by {mine.id}), which is not part of this engine")
        changed = former is None or former.unfinished or differs(former.outputs, plain(former.inputs), inputs)
        if former is not None and not changed:
            mine.outputs = former.outputs
            return "same"
        carry_out = provider.create if former is None else provider.update
        mine.outputs = carry_out(mine.type, mine.urn, inputs, preview=self._preview)
        return "create" if former is None else "update"

    def _provider(self, reference: str) -> KubernetesProvider:
        urn = reference.rpartition("::")[0]
        if urn not in self._providers:  # the default one: programs that give none
            self._providers[urn] = self._make({})
        return self._providers[urn]


def _identity(inputs: Mapping[str, Any]) -> str:
    metadata = inputs.get("metadata", {})
    return "/".join(part for part in (metadata.get("namespace"), metadata.get("name")) if part)


def check(steps: list[Step]) -> list[str]:
    """Names of those that began before something that they depend on was done."""
    return [each.name for each in steps if not set(each.dependencies) <= each.begun_after]
