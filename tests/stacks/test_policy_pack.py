"""The policy pack asked as Pulumi's engine asks it: each resource as declared, and all of them as they came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from muslin.pulumi.analyzer import Analyzer
from tests.stacks.conftest import MakeStack
from tests.stacks.engine.state import Remembered
from tests.stacks.engine.values import plain
from tests.stacks.reporting import register_nodes
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines


def _resource(each: Remembered, properties: dict[str, Any]) -> dict[str, Any]:
    struct = struct_pb2.Struct()
    struct.update(plain(properties))
    return {"type": each.type, "urn": each.urn, "name": each.name, "properties": struct}


def _configured(folder: Path) -> Analyzer:
    """Every policy is held, with the program's facts."""
    properties = struct_pb2.Struct()
    properties.update({"facts": "cluster.yaml"})
    analyzer = Analyzer(folder)
    info = analyzer.GetAnalyzerInfo(None, None)
    levels = {each.name: analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY) for each in info.policies}
    levels["decidable"].properties.CopyFrom(properties)
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=levels), None)
    return analyzer


@pytest.mark.parametrize("name", ["multi_subnet", "route_reflectors"])
def test_a_shipped_stack_breaks_no_policy(stack: MakeStack, cluster: KubeApiserver, name: str) -> None:
    """Neither as it is declared nor as the cluster has it in the end, with status, defaults and managers."""
    register_nodes(cluster)
    mine = stack(name, waitForSessions=False, defaultPolicy=False)
    assert mine.up().error == ""
    analyzer = _configured(mine.folder)
    objects = [each for each in mine.state.resources.values() if each.type.startswith("kubernetes:")]

    for each in objects:
        asked = analyzer_pb2.AnalyzeRequest(**_resource(each, each.inputs))
        assert list(analyzer.Analyze(asked, None).diagnostics) == []
    together = [analyzer_pb2.AnalyzerResource(**_resource(each, each.outputs)) for each in objects]
    done = analyzer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=together), None)
    assert [(each.policyName, each.message) for each in done.diagnostics] == []
    assert any("managedFields" in str(each.properties) for each in together)


def test_what_a_stack_breaks_is_found(stack: MakeStack, cluster: KubeApiserver) -> None:
    """A pool that is not as the facts decide is found in what came out, with the resource that it is of."""
    mine = stack("single_subnet", defaultPolicy=False)
    assert mine.up().error == ""
    facts = mine.folder / "cluster.yaml"
    facts.write_text(facts.read_text("utf-8") + "natOutgoing: false\n", "utf-8")
    pool = mine.state.named("network-ippool-default-ipv4-ippool")
    given = [analyzer_pb2.AnalyzerResource(**_resource(pool, pool.outputs))]
    done = _configured(mine.folder).AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=given), None)

    assert [(each.policyName, each.urn) for each in done.diagnostics] == [("as-decided", pool.urn)]
    assert "spec.natOutgoing" in done.diagnostics[0].message
