"""The policy pack's rules on objects, and the pack as a process that answers as Pulumi's engine asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from blueprints.facts import Facts
from blueprints.musts import Must
from muslin.pulumi import ReferenceNetwork, ReferenceNetworkArgs
from muslin.pulumi.policies import POLICIES, Declared
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.pulumi.recording import run

_ROOT = Path(__file__).parents[3]
_V3 = "projectcalico.org/v3"
_PACK, _PROGRAM = _ROOT / "stacks" / "policy", _ROOT / "stacks" / "single_subnet"


def _object(kind: str, name: str, spec: dict[str, Any] | None = None, **metadata: Any) -> Declared:
    api = "v1" if kind == "Node" else _V3
    value = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec or {}}
    return Declared(f"urn:{kind}:{name}", value, whole=kind != "Node")


def _broken(declared: list[Declared], given: Facts | None = None) -> list[str]:
    return [policy.name for policy in POLICIES if list(policy.judge(declared, given))]


def _reflector(name: str) -> Declared:
    return _object("Node", name, annotations={"projectcalico.org/RouteReflectorClusterID": "1.0.0.1"})


_POOL = _object("IPPool", "a", {"cidr": "10.48.0.0/16"})
_PATCHED = Declared("urn:patch:a", {**_POOL.value, "spec": {"natOutgoing": True}}, whole=False)
_PEER = _object("BGPPeer", "p", {"nodeSelector": "all()", "peerSelector": "has(route-reflector)"})
_OFF = _object("BGPConfiguration", "default", {"nodeToNodeMeshEnabled": False})
_VXLAN = _object("IPPool", "v", {"cidr": "10.64.0.0/16", "vxlanMode": "Always"})


@pytest.mark.parametrize(
    ("declared", "broken"),
    [
        ([_POOL, _PEER, _OFF, _reflector("a"), _reflector("b")], []),
        ([_object("IPPool", "a", {"cidr": "10.48.0.0/33"})], ["readable"]),
        ([_object("IPPool", "a", {"cidr": "10.48.0.0/16", "colour": "red"})], ["readable"]),
        ([_POOL, _object("IPPool", "b", {"cidr": "10.48.128.0/17"})], ["pools-apart"]),
        ([_object("IPPool", "a", {"cidr": "172.16.0.0/12"})], ["range-of-its-own"]),
        ([_object("BGPConfiguration", "default", {"asNumber": 23456})], ["as-number"]),
        ([_object("Node", "a", annotations={"projectcalico.org/ASNumber": "65535"})], ["as-number"]),
        ([_object("Node", "a", annotations={"projectcalico.org/ASNumber": "\u00b2"})], []),
        ([_object("BGPConfiguration", "default", {"asNumber": "0.23456"})], ["as-number"]),
        ([_object("BGPPeer", "p", {"nodeSelector": "all()", "asNumber": "65535.65535"})], ["as-number"]),
        ([_object("Node", "a", annotations={"projectcalico.org/ASNumber": "9" * 5000})], []),
        ([_POOL, _reflector("a")], ["two-reflectors"]),
        ([_POOL, _reflector("a"), _reflector("a")], ["two-reflectors"]),
        ([_POOL, _PATCHED, _object("IPPool", "b", {"cidr": "10.48.128.0/17"})], ["pools-apart"]),
        ([_POOL, _OFF], ["mesh-replaced"]),
        ([_VXLAN, _OFF], []),
        ([_VXLAN, _reflector("a"), _reflector("b")], ["routes-over-bgp"]),
        ([_object("GlobalNetworkPolicy", "g", {"tier": "security"})], ["references"]),
    ],
)
def test_what_breaks_what(declared: list[Declared], broken: list[str]) -> None:
    """Each rule finds what it is for, and nothing in a program that is right."""
    assert _broken(declared) == broken


def test_objects_that_are_not_known_yet() -> None:
    """What waits for something that is yet to be made is not judged by itself."""
    later = Declared("urn", {"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "a"}, "spec": {}}, whole=False)

    assert _broken([later]) == []


def test_with_facts_the_blueprint_is_asked() -> None:
    """Facts that the architecture refuses break the deployment; objects that differ are told."""
    pool = _object("IPPool", "default-ipv4-ippool", {"cidr": "10.48.0.0/16", "natOutgoing": False})

    assert _broken([pool], facts(plannedNodes=80, blueprint="single_subnet")) == ["decidable"]
    assert _broken([pool], facts(blueprint="single_subnet")) == ["as-decided"]


def test_our_own_components_break_none() -> None:
    """What ReferenceNetwork registers passes every rule, with the facts that it was made of."""
    given = facts(**nodes_in(3, 3), blueprint="route_reflectors")
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs(given, look_first=False)))
    declared = [
        Declared(name, {"apiVersion": "v1", "kind": "Node", **each.inputs}, whole="Patch" not in each.type)
        for name, each in done.resources.items()
        if "metadata" in each.inputs
    ]

    assert len(declared) == 10
    assert _broken(declared, given) == []


def test_musts_that_objects_alone_show() -> None:
    """These musts of the blueprints are held without any facts; all others need them."""
    assert {each.must for each in POLICIES if each.must} == {
        Must.RANGE_OF_ITS_OWN, Must.AS_NUMBER_MAY_BE_USED, Must.TWO_REFLECTORS, Must.ROUTES_OVER_BGP,
    }  # fmt: skip


@pytest.fixture(scope="module")
def pack() -> Iterator[Any]:
    """The shipped pack as Pulumi starts it: a process in the program's folder that prints its port."""
    command = [sys.executable, "-m", "pulumi.policy", "127.0.0.1:1", str(_PACK)]
    process = subprocess.Popen(
        command, cwd=_PROGRAM, env={**os.environ, "PYTHONPATH": str(_ROOT)}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = analyzer_pb2_grpc.AnalyzerStub(channel)
        yield stub
        stub.Cancel(empty_pb2.Empty())
    assert process.wait(20) == 0
    process.stdout.close()


def _registered(declared: Declared) -> dict[str, Any]:
    properties = struct_pb2.Struct()
    properties.update(dict(declared.value))
    kind = "NodePatch" if declared.key.kind == "Node" else declared.key.kind
    group = "core/v1" if kind == "NodePatch" else _V3
    return {"type": f"kubernetes:{group}:{kind}", "urn": declared.urn, "properties": properties}


def _names(answer: Any) -> list[tuple[str, str, int]]:
    return [(each.policyName, each.urn, each.enforcementLevel) for each in answer.diagnostics]


@pytest.mark.slow
def test_the_pack_answers_the_engine(pack: Any) -> None:
    """It lists its policies, judges one resource before it is made, and all together in the end."""
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    alone = pack.Analyze(analyzer_pb2.AnalyzeRequest(**_registered(_object("IPPool", "a", {"cidr": "127.0.0.0/8"}))))
    together = pack.AnalyzeStack(
        analyzer_pb2.AnalyzeStackRequest(
            resources=[analyzer_pb2.AnalyzerResource(**_registered(each)) for each in (_POOL, _reflector("a"))]
        )
    )

    assert [each.name for each in info.policies] == [each.name for each in POLICIES]
    assert _names(alone) == [("range-of-its-own", "urn:IPPool:a", analyzer_pb2.MANDATORY)]
    assert "fix: give pods a private range" in alone.diagnostics[0].message
    assert _names(together) == [("two-reflectors", "urn:Node:a", analyzer_pb2.MANDATORY)]


@pytest.mark.slow
def test_the_pack_is_configured(pack: Any) -> None:
    """A policy can be made advisory or turned off, and the facts are given as a path from the program's folder."""
    level, properties = analyzer_pb2.PolicyConfig, struct_pb2.Struct()
    properties.update({"facts": "cluster.yaml"})
    pack.Handshake(
        analyzer_pb2.AnalyzerHandshakeRequest(
            engine_address="x", root_directory=str(_PACK), program_directory=str(_PACK)
        )
    )
    pack.Configure(
        analyzer_pb2.ConfigureAnalyzerRequest(
            policyConfig={
                "two-reflectors": level(enforcementLevel=analyzer_pb2.DISABLED),
                "decidable": level(enforcementLevel=analyzer_pb2.MANDATORY, properties=properties),
            }
        )
    )
    pool = _object("IPPool", "default-ipv4-ippool", {"cidr": "10.48.0.0/16", "natOutgoing": False})
    answer = pack.AnalyzeStack(
        analyzer_pb2.AnalyzeStackRequest(
            resources=[analyzer_pb2.AnalyzerResource(**_registered(each)) for each in (pool, _reflector("a"))]
        )
    )

    assert [each[0] for each in _names(answer)] == ["as-decided"]
