"""Requests are checked, and any bytes get a request or a CNI error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.cni.answer import CniError, Code, refused
from runtime.cni.network import Network
from runtime.cni.pod import Pod
from runtime.cni.request import Command, Request, decode, version_of
from tests.runtime.cni.frames import NETWORK, payload, previous


def test_a_complete_add_is_read() -> None:
    """Every value that ADD uses arrives checked."""
    network = {**NETWORK, "mtu": 1440, "ipam": {"type": "calico-ipam", "ipv4_pools": ["pool-a"]}}
    network["pod"] = {"namespace": "demo", "name": "web-0", "labels": {"app": "web"}, "serviceAccountName": "default"}

    assert decode(payload(network)) == Request(
        Command.ADD,
        "c1",
        "eth0",
        "/run/netns/web-0",
        Network(
            "1.0.0",
            "k8s-pod-network",
            mtu=1440,
            pools=("pool-a",),
            pod=Pod("demo", "web-0", {"app": "web"}, "default"),
        ),
        Pod("demo", "web-0", {"app": "web"}, "default"),
    )


def test_kubernetes_arguments_name_the_pod() -> None:
    """Without a declared pod, CNI_ARGS of a Kubernetes runtime names it."""
    network = {key: value for key, value in NETWORK.items() if key != "pod"}
    arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0;COLOUR=blue"

    assert decode(payload(network, args=arguments)).pod == Pod("demo", "web-0")


def test_del_goes_without_a_pod() -> None:
    """DEL after an ADD that was refused for want of a pod must not fail for ever."""
    network = {key: value for key, value in NETWORK.items() if key != "pod"}

    assert decode(payload(network, command="DEL", netns="")).pod is None


_DEEP: Any = {}
for _ in range(200):
    _DEEP = {"a": _DEEP}

_WRONG: list[tuple[str, dict[str, Any], dict[str, str], Code, str]] = [
    ("command", {}, {"command": "GC"}, Code.BAD_ENVIRONMENT, "'GC' is not a command"),
    ("empty container", {}, {"containerid": ""}, Code.BAD_ENVIRONMENT, "container id"),
    ("path in container", {}, {"containerid": "../x"}, Code.BAD_ENVIRONMENT, "container id"),
    ("interface with slash", {}, {"ifname": "a/b"}, Code.BAD_ENVIRONMENT, "interface name"),
    ("long interface", {}, {"ifname": "a" * 16}, Code.BAD_ENVIRONMENT, "interface name"),
    ("hyphen at the end", {}, {"ifname": "eth-"}, Code.BAD_ENVIRONMENT, "can't name an endpoint"),
    ("no namespace", {}, {"netns": ""}, Code.BAD_ENVIRONMENT, "CNI_NETNS is empty"),
    ("unknown argument", {}, {"args": "COLOUR=blue"}, Code.BAD_ENVIRONMENT, "COLOUR"),
    ("no pairs", {}, {"args": "x"}, Code.BAD_ENVIRONMENT, "KEY=VALUE"),
    ("two pods", {}, {"args": "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"}, Code.BAD_ENVIRONMENT, "CNI_ARGS says a/b"),
    ("half a pod", {}, {"args": "K8S_POD_NAME=b"}, Code.BAD_ENVIRONMENT, "namespace"),
    ("old version", {"cniVersion": "0.2.0"}, {}, Code.INCOMPATIBLE_VERSION, "0.2.0"),
    ("new version", {"cniVersion": "1.1.0"}, {}, Code.INCOMPATIBLE_VERSION, "1.1.0"),
    ("version is a list", {"cniVersion": []}, {}, Code.INCOMPATIBLE_VERSION, "not supported"),
    ("unknown field", {"ipams": {}}, {}, Code.UNSUPPORTED_FIELD, "did you mean ipam"),
    ("unsupported value", {"device_type": "netkit"}, {}, Code.UNSUPPORTED_FIELD, "device_type"),
    ("other ipam", {"ipam": {"type": "host-local"}}, {}, Code.UNSUPPORTED_FIELD, "host-local"),
    ("ipv6", {"ipam": {"type": "calico-ipam", "assign_ipv6": "true"}}, {}, Code.UNSUPPORTED_FIELD, "assign_ipv6"),
    ("name", {"name": "a/b"}, {}, Code.BAD_NETWORK_CONFIG, "network's name"),
    ("no name", {"name": None}, {}, Code.BAD_NETWORK_CONFIG, "network's name"),
    ("long name", {"name": "n" * 125}, {}, Code.BAD_NETWORK_CONFIG, "too long"),
    ("mtu text", {"mtu": "1500"}, {}, Code.BAD_NETWORK_CONFIG, "mtu"),
    ("mtu true", {"mtu": True}, {}, Code.BAD_NETWORK_CONFIG, "mtu"),
    ("mtu range", {"mtu": 70000}, {}, Code.BAD_NETWORK_CONFIG, "mtu"),
    ("pool", {"ipam": {"ipv4_pools": ["10.48.0.1/16"]}}, {}, Code.BAD_NETWORK_CONFIG, "host bits"),
    ("pools", {"ipam": {"ipv4_pools": "p"}}, {}, Code.BAD_NETWORK_CONFIG, "ipv4_pools"),
    ("ipam", {"ipam": []}, {}, Code.BAD_NETWORK_CONFIG, "ipam is not"),
    ("settings", {"container_settings": 1}, {}, Code.BAD_NETWORK_CONFIG, "container_settings"),
    ("pod", {"pod": "web"}, {}, Code.BAD_NETWORK_CONFIG, "pod is not an object"),
    ("deep pod", {"pod": _DEEP}, {}, Code.BAD_NETWORK_CONFIG, "'a' is not a field of pod"),
    ("pod field", {"pod": {**NETWORK["pod"], "ns": "x"}}, {}, Code.BAD_NETWORK_CONFIG, "'ns' is not a field"),
    ("pod name", {"pod": {"namespace": "demo", "name": "Web"}}, {}, Code.BAD_NETWORK_CONFIG, "name of a pod"),
    ("label", {"pod": {**NETWORK["pod"], "labels": {"a b": "x"}}}, {}, Code.BAD_NETWORK_CONFIG, "label"),
    ("check", {}, {"command": "CHECK"}, Code.BAD_NETWORK_CONFIG, "prevResult"),
    ("previous", {"prevResult": {"ips": [{}]}}, {"command": "CHECK"}, Code.BAD_NETWORK_CONFIG, "prevResult"),
    ("previous list", {"prevResult": []}, {"command": "CHECK"}, Code.BAD_NETWORK_CONFIG, "prevResult"),
]


@pytest.mark.parametrize(
    ("network", "environment", "code", "text"), [row[1:] for row in _WRONG], ids=[row[0] for row in _WRONG]
)
def test_a_wrong_request_is_refused_with_place_and_fix(
    network: dict[str, Any], environment: dict[str, str], code: Code, text: str
) -> None:
    """Each mistake has its code of the specification, and a message that names it."""
    with pytest.raises(CniError) as caught:
        decode(payload({**NETWORK, **network}, **environment))
    shown = json.loads(refused(caught.value).body)

    assert (shown["code"], "where: " in shown["details"], "fix: " in shown["details"]) == (code, True, True)
    assert text in shown["msg"] + shown["details"]


@pytest.mark.parametrize(
    ("stdin", "text"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b'{"a":NaN}', "NaN"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b"\xff\xfe", "not JSON"),
    ],
    ids=["empty", "array", "duplicate", "nan", "deep", "digits", "bytes"],
)
def test_what_is_not_one_json_object_is_refused(stdin: bytes, text: str) -> None:
    """Configurations that parsers read differently, or die of, are refused as undecodable."""
    with pytest.raises(CniError, match=text) as caught:
        decode(payload().split(b"{")[0] + stdin)

    assert caught.value.code is Code.BAD_INPUT


def test_prev_result_of_add_is_read_by_check() -> None:
    """CHECK gets the addresses that ADD answered."""
    network = decode(payload(previous("10.48.0.1/32"), command="CHECK")).network

    assert network.previous is not None
    assert [str(address) for address in network.previous.addresses] == ["10.48.0.1/32"]


def test_the_answer_has_the_version_of_the_question() -> None:
    """Refusals are written in the version that the runtime asked in, if we know it."""
    assert version_of(payload({**NETWORK, "cniVersion": "0.4.0"})) == "0.4.0"
    assert version_of(b"anything") == "1.0.0"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    ["cniVersion", "name", "ipam", "mtu", "container_settings", "prevResult", "pod", "policy_setup_timeout_seconds"]
)


def _refusal(data: bytes) -> CniError | None:
    try:
        decode(data)
    except CniError as error:
        return error
    return None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.builds(lambda tail: payload()[:-20] + tail, st.binary(max_size=40)))
def test_any_bytes_give_a_request_or_a_cni_error(data: bytes) -> None:
    """Invariant: bytes from a client never raise anything but CniError, which always can be printed."""
    error = _refusal(data)

    assert error is None or json.loads(refused(error, version_of(data)).body)["code"] == error.code


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_FIELDS, _JSON, max_size=4), st.sampled_from(["ADD", "CHECK", "DEL"]))
def test_any_value_of_a_known_field_gives_a_request_or_a_cni_error(fields: dict[str, Any], command: str) -> None:
    """Invariant: no JSON value in a field that we read raises anything but CniError."""
    data = payload({**NETWORK, **fields}, command=command)
    error = _refusal(data)

    assert error is None or json.loads(refused(error, version_of(data)).body)["code"] == error.code
