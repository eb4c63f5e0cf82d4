"""Programs run with Pulumi's mocks, and everything that they registered: options too, which plain mocks do not show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks, set_all_config, set_mocks
from pulumi.runtime.proto import resource_pb2

__all__ = ["Program", "Resource", "run"]

_SECRET = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True, slots=True)
class Resource:
    """One registration: inputs as plain JSON, with `secrets` the paths that were secret."""

    type: str
    name: str
    custom: bool
    inputs: Mapping[str, Any]
    secrets: tuple[str, ...]
    parent: str
    after: tuple[str, ...]
    protect: bool
    retain: bool
    provider: str
    hidden_outputs: tuple[str, ...]
    within: str
    """How long its creation may take; empty for Pulumi's own time."""


@dataclass(slots=True)
class Program:
    """What a program did: resources by name in the order of registration, and outputs of components by name."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None

    def of(self, *types: str) -> list[str]:
        """Names of the resources whose type ends so."""
        return [name for name, each in self.resources.items() if each.type.endswith(types)]


def run(program: Callable[[], Any], config: Mapping[str, Any] | None = None, *, preview: bool = False) -> Program:
    """Run it to its end; an exception that it raises is in `error`."""
    done = Program()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    values = {
        f"project:{key}": each if isinstance(each, str) else json.dumps(each) for key, each in (config or {}).items()
    }
    set_all_config(values)
    set_mocks(_Answers(), project="project", stack="stack", preview=preview, monitor=_Monitor(done))
    try:
        pulumi.runtime.test(lambda: program() and None)()  # type: ignore[no-untyped-call]
    except BaseException as error:  # whatever ends a program
        done.error = error
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        set_all_config({})
    return done


class _Answers(mocks.Mocks):
    """Every resource is as it was asked for."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", args.inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise AssertionError(f"nothing is asked of a provider, but {args.token} was")


class _Monitor(mocks.MockMonitor):
    """Notes what is registered; answers as Pulumi's own."""

    def __init__(self, done: Program) -> None:
        super().__init__(_Answers())
        self._done = done

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        value = json_format.MessageToDict(request.object)
        secrets: list[str] = []
        self._done.resources[request.name] = Resource(
            request.type,
            request.name,
            request.custom,
            _plain(value, "", secrets),
            tuple(secrets),
            request.parent.rpartition("::")[2],
            tuple(each.rpartition("::")[2] for each in request.dependencies),
            request.protect,
            request.retainOnDelete,
            request.provider.rpartition("::")[0].rpartition("::")[2],
            tuple(request.additionalSecretOutputs),
            request.customTimeouts.create,
        )
        # answered here: the mock's own answer makes an event loop in each thread and never closes it
        urn = self.make_urn(request.parent, request.type, request.name)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=request.object)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        self._done.outputs[request.urn.rpartition("::")[2]] = _plain(json_format.MessageToDict(request.outputs), "", [])
        return empty_pb2.Empty()


def _plain(value: Any, path: str, secrets: list[str]) -> Any:
    """The value without Pulumi's envelopes; where one was a secret, the path is noted."""
    if isinstance(value, Mapping):
        if _SECRET in value:
            secrets.append(path)
            return _plain(value["value"], path, secrets)
        return {name: _plain(each, f"{path}.{name}".lstrip("."), secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, f"{path}[{index}]", secrets) for index, each in enumerate(value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
