"""The policies as a server that Pulumi's engine asks at preview and up, on the stubs that the SDK ships.

Pulumi starts the pack's program, reads the port from the first line that it prints, and asks until it has enough. One
resource is judged as the program declares it, all of them together as they are in the cluster.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from muslin.errors import BadInput, Problem
from muslin.pulumi.policies import POLICIES, Declared, Policy, Violation

if TYPE_CHECKING:
    from blueprints.facts import Facts

__all__ = ["Analyzer", "serve"]

_NAME: Final = "muslin"
_FACTS_OF: Final = "decidable"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_KUBERNETES: Final = "kubernetes:"


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers the engine.

    Args:
        folder: that a relative path of facts starts from: the program's, which Pulumi starts a pack in. (What it calls
            the program's folder in its handshake is the pack's own.)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._levels = {
            each.name: analyzer_pb2.MANDATORY if each.mandatory else analyzer_pb2.ADVISORY for each in POLICIES
        }
        self._facts: str | None = None
        self.cancelled = threading.Event()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Nothing of where things are matters."""
        del request, context
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Our version."""
        del request, context
        return plugin_pb2.PluginInfo(version=metadata.version("muslin"))

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Which policies there are, and that one of them can be given facts."""
        del request, context
        return analyzer_pb2.AnalyzerInfo(
            name=_NAME,
            displayName="Calico's reference architecture",
            version=metadata.version("muslin"),
            supportsConfig=True,
            policies=[self._info(each) for each in POLICIES],
        )

    def _info(self, policy: Policy) -> Any:
        properties = struct_pb2.Struct()
        if policy.name == _FACTS_OF:
            properties.update({"facts": {"type": "string", "description": "Path of a cluster.yaml"}})
        return analyzer_pb2.PolicyInfo(
            name=policy.name,
            description=policy.sentence,
            enforcementLevel=self._levels[policy.name],
            configSchema=analyzer_pb2.PolicyConfigSchema(properties=properties),
        )

    def Configure(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802 - gRPC's name
        """How strictly each policy is held, and where the facts are."""
        del context
        for name, given in request.policyConfig.items():
            if name in self._levels:
                self._levels[name] = given.enforcementLevel
            if name == _FACTS_OF and "facts" in given.properties:
                self._facts = str(given.properties["facts"])
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Nothing of the stack matters."""
        del request, context
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802 - gRPC's name
        """End."""
        del request, context
        self.cancelled.set()
        return empty_pb2.Empty()

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """One resource before it is made: what is wrong with it alone, so that it is not made."""
        del context
        alone = [each for each in POLICIES if each.name in ("readable", "range-of-its-own", "as-number")]
        return analyzer_pb2.AnalyzeResponse(diagnostics=self._judged(alone, _declared([request])))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """All resources together, when the program has ended."""
        del context
        together = [each for each in POLICIES if each.name not in ("readable", "range-of-its-own", "as-number")]
        return analyzer_pb2.AnalyzeResponse(diagnostics=self._judged(together, _declared(request.resources)))

    def Remediate(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Nothing is mended: what is right, only the program's owner knows."""
        del request, context
        return analyzer_pb2.RemediateResponse()

    def _judged(self, policies: Sequence[Policy], declared: Sequence[Declared]) -> Iterator[Any]:
        try:
            facts = self._read_facts()
        except BadInput as error:
            facts = None
            if any(each.name == _FACTS_OF for each in policies):
                policy = next(each for each in POLICIES if each.name == _FACTS_OF)
                yield from (self._told(policy, Violation("", each.what, each.fix)) for each in error.problems)
        for policy in policies:
            if self._levels[policy.name] != analyzer_pb2.DISABLED:
                yield from (self._told(policy, found) for found in policy.judge(declared, facts))

    def _told(self, policy: Policy, found: Violation) -> Any:
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=policy.name,
            policyPackName=_NAME,
            policyPackVersion=metadata.version("muslin"),
            description=policy.sentence,
            message=str(found),
            enforcementLevel=self._levels[policy.name],
            urn=found.urn,
        )

    def _read_facts(self) -> Facts | None:
        if self._facts is None:
            return None
        from blueprints import facts  # noqa: PLC0415 - only with facts
        from muslin import yaml  # noqa: PLC0415 - as above

        path = self._folder / self._facts
        try:
            documents = yaml.load(path.read_bytes(), str(path))
        except OSError as error:
            fix = "correct facts in the policy's configuration: a path from the program's folder, or a whole one"
            raise BadInput(Problem(f"the facts can't be read: {error.strerror}", str(path), fix)) from error
        return facts.load(documents[0].value if documents else None, None, str(path))


def _declared(resources: Iterable[Any]) -> list[Declared]:
    """The Kubernetes objects among a program's resources."""
    found = []
    for each in resources:
        if each.type.startswith(_KUBERNETES) and each.type.count(":") == 2:
            value = _plain(json_format.MessageToDict(each.properties))
            _, group, kind = each.type.split(":")
            patch = kind.endswith("Patch")
            given = {"apiVersion": group.removeprefix("core/"), "kind": kind.removesuffix("Patch")}
            whole = not patch and _is_known(value)
            found.append(Declared(each.urn, {**value, **given} if patch else {**given, **value}, whole))
    return found


def _plain(value: Any) -> Any:
    """Without the envelopes of secrets, and whole numbers as such."""
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            return _plain(value.get("value", _UNKNOWN))
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_known(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_known(each) for each in value.values())
    return all(_is_known(each) for each in value) if isinstance(value, list) else value != _UNKNOWN


def serve() -> None:
    """Answer on loopback until the engine says that it is enough, or its end of our output is gone."""
    analyzer = Analyzer(Path.cwd())
    server = grpc.server(ThreadPoolExecutor(4))
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    analyzer.cancelled.wait()
    server.stop(1).wait()
