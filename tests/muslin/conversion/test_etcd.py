"""Keys and JSON of etcd."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin import resources
from muslin.conversion.etcd import from_etcd, to_etcd
from muslin.conversion.etcd_keys import candidates, etcd_key, etcd_prefixes, key_of
from muslin.conversion.kinds import ETCD_KINDS
from muslin.conversion.v1 import METADATA
from muslin.errors import BadInput
from muslin.ipam.blocks import Attribute, Block
from muslin.ipam.names import affinity_key, affinity_labels, affinity_name, block_key, handle_key
from muslin.resources.keys import Key

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _object(key: Key, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    names = {"name": key.name} | ({"namespace": key.namespace} if key.namespace else {})
    return {"apiVersion": "projectcalico.org/v3", "kind": key.kind, "metadata": {**names, **metadata}, "spec": spec}


def _affinity(host: str, cidr: str, kind: str = "host") -> tuple[Key, dict[str, Any]]:
    prefix = ip_network(cidr)
    spec = {"state": "confirmed", "node": host, "type": kind, "cidr": cidr, "deleted": False}
    key = affinity_key(host, prefix)
    return key, _object(key, spec, labels=affinity_labels(host, prefix, kind))


def test_a_block_is_what_the_reference_keeps() -> None:
    """Names of fields are etcd's, what is unknown is null, and fields of the CRDs alone are missing."""
    block = Block.new(ip_network("192.0.2.0/30"), "host:node-1", _NOW)
    held, _ = block.assigned(1, Attribute("k8s-pod-network.0123", {"pod": "p"}))
    released = held.released([0], _NOW).json()
    key = block_key(block.prefix)
    found = to_etcd(key, released)

    assert etcd_key(key, released) == "/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30"
    assert found == {
        "cidr": "192.0.2.0/30",
        "affinity": "host:node-1",
        "affinity_claim_time": "2026-01-02T03:04:05Z",
        "allocations": [0, None, None, None],
        "unallocated": [1, 2, 3],
        "attributes": [{"handle_id": None, "secondary": None, "releasedAt": "2026-01-02T03:04:05Z"}],
        "sequenceNumber": released["spec"]["sequenceNumber"],
        "sequenceNumberForAllocation": {"0": released["spec"]["sequenceNumber"]},
        "deleted": False,
    }
    assert from_etcd(etcd_key(key, released), found) == (key, released)


def test_a_block_without_owner_has_none() -> None:
    """Etcd says null; with us the field is missing."""
    block = {**Block.new(ip_network("192.0.2.0/30"), "host:x", _NOW).json()}
    block["spec"] = {name: part for name, part in block["spec"].items() if not name.startswith("affinity")}
    key = block_key(ip_network("192.0.2.0/30"))

    assert to_etcd(key, block)["affinity"] is None
    assert from_etcd(etcd_key(key, block), to_etcd(key, block)) == (key, block)


def test_the_oldest_owner_s_field_is_an_affinity() -> None:
    """Early releases wrote the host alone."""
    found = from_etcd("/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30", {"hostAffinity": "node-1"})
    assert found is not None

    assert found[1]["spec"]["affinity"] == "host:node-1"
    assert "hostAffinity" not in found[1]["spec"]


@pytest.mark.parametrize("kind", ["host", "virtual"])
def test_an_affinity_is_its_key_and_its_state(kind: str) -> None:
    """Who and which block the key says; labels follow from it."""
    key, value = _affinity("node-1", "192.0.2.0/26", kind)
    path = etcd_key(key, value)

    assert path == f"/calico/ipam/v2/{kind}/node-1/ipv4/block/192.0.2.0-26"
    assert to_etcd(key, value) == {"state": "confirmed", "deleted": False}
    assert from_etcd(path, to_etcd(key, value)) == (key, value)
    assert resources.load(value).key == key


@pytest.mark.parametrize("empty", [None, "", {}])
def test_an_empty_affinity_is_confirmed(empty: Any) -> None:
    """Old releases wrote nothing into it; the empty state means confirmed."""
    found = from_etcd("/calico/ipam/v2/host/node-1/ipv4/block/192.0.2.0-26", empty)
    assert found is not None

    assert found[1]["spec"]["state"] == ""
    assert resources.load(found[1]).kind == "BlockAffinity"


def test_a_handle_is_its_counts() -> None:
    """The key has the handle as it is written, the name is in lower case."""
    key = handle_key("vxlan-tunnel-addr-Node1")
    value = _object(key, {"handleID": "vxlan-tunnel-addr-Node1", "block": {"192.0.2.0/26": 1}, "deleted": False})
    path = etcd_key(key, value)

    assert path == "/calico/ipam/v2/handle/vxlan-tunnel-addr-Node1"
    assert to_etcd(key, value) == {"block": {"192.0.2.0/26": 1}, "deleted": False}
    assert from_etcd(path, to_etcd(key, value)) == (key, value)
    assert candidates(key) is None


def test_settings_of_address_management_have_names_of_their_own() -> None:
    """Two fields are in snake case there."""
    key = Key("IPAMConfiguration", "default")
    spec = {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4, "ipCooldownSeconds": 9}
    value = _object(key, spec)
    found = to_etcd(key, value)

    assert etcd_key(key, value) == "/calico/ipam/v2/config"
    assert found == {
        "strict_affinity": True,
        "auto_allocate_blocks": True,
        "maxBlocksPerHost": 4,
        "ipCooldownSeconds": 9,
    }
    assert from_etcd("/calico/ipam/v2/config", found) == (key, value)
    assert from_etcd("/calico/ipam/v2/config", {}) == (
        key,
        _object(key, {"strictAffinity": False, "autoAllocateBlocks": False}),
    )


def test_a_field_of_a_newer_release_survives() -> None:
    """What nobody knows is kept in both directions."""
    for path in ("/calico/ipam/v2/assignment/ipv4/block/192.0.2.0-30", "/calico/ipam/v2/handle/h"):
        found = from_etcd(path, {"cidr": "192.0.2.0/30", "newer": {"a": [1]}})
        assert found is not None

        assert to_etcd(*found)["newer"] == {"a": [1]}


@pytest.mark.parametrize(
    ("stored", "tier", "recorded", "shown"),
    [
        ("web", "default", '{"name":"web"}', "web"),
        ("default.web", "default", None, "web"),
        ("default.web", "default", '{"name":"default.web"}', "default.web"),
        ("admin.web", "admin", None, "admin.web"),
        ("knp.default.web", "default", None, "knp.default.web"),
        ("web", "default", "{", "web"),
        ("web", "default", '{"name":7}', "web"),
    ],
)
def test_a_policy_has_the_name_that_its_author_gave_it(
    stored: str, tier: str, recorded: str | None, shown: str
) -> None:
    """As in the older CRDs; where it is found, it is looked for again."""
    path = f"/calico/resources/v3/projectcalico.org/networkpolicies/red/{stored}"
    annotations = {"other": "x"} | ({} if recorded is None else {METADATA: recorded})
    value = _object(Key("NetworkPolicy", stored, "red"), {"tier": tier}, annotations=annotations)
    found = from_etcd(path, value)
    assert found is not None
    key, read = found

    assert key == Key("NetworkPolicy", shown, "red")
    assert (read["metadata"]["name"], read["metadata"]["annotations"]) == (shown, {"other": "x"})
    assert path in (candidates(key) or ())
    assert value["metadata"]["annotations"] == annotations


def test_the_revision_is_never_kept() -> None:
    """It is that of the key."""
    key = Key("IPPool", "pool")

    assert to_etcd(key, _object(key, {}, resourceVersion="7")) == _object(key, {})


_HOSTS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,12}[a-z0-9])?", fullmatch=True)
_PREFIXES = st.one_of(
    st.builds(lambda bits, n: ip_network((bits << (32 - n), n)), st.integers(0, 2**20 - 1), st.just(26)),
    st.integers(0, 2**122 - 1).map(lambda bits: ip_network((bits << 6, 122))),
).filter(lambda prefix: prefix.version == 4 or "." not in str(prefix))


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(_HOSTS, _PREFIXES, st.sampled_from(["host", "virtual"]))
def test_an_affinity_is_found_by_its_name(host: str, prefix: Any, kind: str) -> None:
    """A name can be read in several ways; the right one is among them, and all of them have this name."""
    key, value = _affinity(host, str(prefix), kind)
    path = etcd_key(key, value)
    found = candidates(key)
    assert found is not None

    assert path in found
    assert {key_of(each) for each in found} == {key}


@settings(max_examples=50, deadline=None)
@given(_PREFIXES)
def test_a_block_is_found_by_its_name(prefix: Any) -> None:
    """There is one place for it."""
    key = block_key(prefix)

    assert candidates(key) == (etcd_key(key, {"spec": {"cidr": str(prefix)}}),)


def test_an_affinity_with_a_shortened_name_must_be_searched() -> None:
    """Nobody can tell the host from a hash."""
    host = "h" * 250
    key, value = _affinity(host, "192.0.2.0/26")

    assert candidates(key) is None
    assert key_of(etcd_key(key, value)) == key
    assert len(affinity_name(host, ip_network("192.0.2.0/26"))) == 252


@pytest.mark.parametrize("name", ["", "10-0-0-0", "10-0-0-1-26", "nonsense", "300-0-0-0-26", "a--b-c"])
def test_a_name_that_is_no_block_s_is_nowhere(name: str) -> None:
    """Nobody could have stored it."""
    assert candidates(Key("IPAMBlock", name)) == ()


_CLUSTER = sorted(kind for kind, stored in ETCD_KINDS.items() if not stored.namespaced)
_NAMESPACED = sorted(kind for kind, stored in ETCD_KINDS.items() if stored.namespaced)
_ANY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_KEYS = st.one_of(
    st.tuples(st.sampled_from(_CLUSTER), _HOSTS),
    st.tuples(st.sampled_from(_NAMESPACED), _HOSTS, _HOSTS),
    st.tuples(st.just("ReconcilerStatus"), _ANY),
    st.tuples(st.just("Foreign"), _ANY, _ANY),
).map(lambda parts: Key(*parts))


@settings(max_examples=50, deadline=None)
@given(_KEYS)
def test_every_key_is_read_back_and_lies_where_a_list_looks(key: Key) -> None:
    """Also kinds that Calico does not know have a place, beside Calico's."""
    path = etcd_key(key, {})

    assert key_of(path) == key
    assert path in (candidates(key) or ())
    assert any(path.startswith(prefix) for prefix in etcd_prefixes(key.kind))
    assert any(path.startswith(prefix) for prefix in etcd_prefixes(key.kind, key.namespace))


def test_lists_of_a_namespace_hold_no_other_s() -> None:
    """A namespace's prefix ends where its name ends."""
    (prefix,) = etcd_prefixes("NetworkPolicy", "red")

    assert not etcd_key(Key("NetworkPolicy", "x", "redder"), {}).startswith(prefix)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/registry/pods/default/x",
        "/calico/resources/v3/projectcalico.org/unknown/x",
        "/calico/resources/v3/projectcalico.org/ippools",
        "/calico/resources/v3/projectcalico.org/ippools/",
        "/calico/resources/v3/projectcalico.org/ippools/a/b",
        "/calico/resources/v3/projectcalico.org/networkpolicies/x",
        "/calico/ipam/v2/assignment/ipv4/block/nonsense",
        "/calico/ipam/v2/assignment/ipv6/block/192.0.2.0-26",
        "/calico/ipam/v2/assignment/ipv4/block/192.0.2.1-26",
        "/calico/ipam/v2/host/node-1",
        "/calico/ipam/v2/host//ipv4/block/192.0.2.0-26",
        "/calico/ipam/v2/handle/",
        "/calico/v1/Ready",
        "/muslin/resources/X",
        "/muslin/resources/X/cluster/",
        "/muslin/resources/X/elsewhere/a",
    ],
)
def test_other_keys_are_none_of_ours(path: str) -> None:
    """They are passed over."""
    assert key_of(path) is None
    assert from_etcd(path, {}) is None


@pytest.mark.parametrize("text", ["text", [1], 7, None, True])
def test_what_is_no_object_is_a_problem_at_itself(text: Any) -> None:
    """Somebody wrote into etcd by hand: the object is listed, and no model accepts it."""
    found = from_etcd("/calico/resources/v3/projectcalico.org/ippools/pool", text)
    assert found is not None

    assert found[0] == Key("IPPool", "pool")
    with pytest.raises(BadInput):
        resources.load(found[1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Key("IPAMBlock", "x"), {}),
        (Key("BlockAffinity", "x"), {"spec": {"cidr": "192.0.2.0/26"}}),
        (Key("BlockAffinity", "x"), {"spec": {"cidr": "192.0.2.0/26", "node": "a/b"}}),
        (Key("BlockAffinity", "x"), {"spec": {"cidr": "192.0.2.0/26", "node": "a", "type": "pet"}}),
        (Key("IPAMHandle", "x"), {"spec": {}}),
        (Key("NetworkPolicy", "x"), {}),
        (Key("IPPool", "x", "red"), {}),
        (Key("IPPool", ""), {}),
    ],
)
def test_what_has_no_place_is_refused(key: Key, value: dict[str, Any]) -> None:
    """A key that would lead elsewhere is never made."""
    with pytest.raises(ValueError, match=r".+"):
        etcd_key(key, value)
