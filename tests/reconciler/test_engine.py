"""Comparison and order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muslin.resources.keys import Key
from reconciler.delta import diff
from reconciler.order import Stage, placed, position, stage, stages, waits

_MAPPINGS = st.dictionaries(st.integers(0, 9), st.integers(0, 3))


@given(_MAPPINGS, _MAPPINGS)
def test_applying_a_delta_gives_the_desired_mapping(desired: dict[int, int], actual: dict[int, int]) -> None:
    """Creates, updates and deletes of a delta turn the actual mapping into the desired one, and touch no equal key."""
    delta = diff(desired, actual)
    result = {key: value for key, value in actual.items() if key not in delta.delete}
    result |= dict(delta.create) | dict(delta.update)

    assert result == desired
    assert all(actual[key] != value for key, value in delta.update.items())
    assert bool(delta) is (desired != actual)


def test_the_order_in_words() -> None:
    """The whole order, as it is printed for people; a change here is a change of what packets meet."""
    written = [line for line in stages() if line.startswith("write")]
    print("\n".join(stages()))

    assert [line.split(":")[0] for line in written] == [
        "write CONFIGURATION", "write POOLS", "write MESH", "write FILTERS", "write NODES", "write PEERS",
        "write REFLECTORS", "write RETIRING",
        "write MESH_OFF", "write TIERS", "write SELECTED", "write STAGED", "write ALLOWING", "write DENYING",
        "write CLOSING", "write SHUTTING", "write ENDPOINTS",
    ]  # fmt: skip
    assert [line.split(" ")[1] for line in stages()[len(written) :]] == [
        line.split(" ")[1] for line in reversed(stages()[: len(written)])
    ]


def _policy(name: str, actions: list[str], order: float | None = None) -> tuple[Key, dict[str, object]]:
    spec: dict[str, object] = {"ingress": [{"action": action} for action in actions], "selector": "app == 'a'"}
    if order is not None:
        spec["order"] = order
    return Key("NetworkPolicy", name, "shop"), {"spec": spec}


def test_what_allows_is_written_before_what_denies() -> None:
    """Whatever their order numbers, policies that allow come first, then by order, none being the last."""
    deny = _policy("deny", ["Deny"], 1)
    empty = _policy("empty", [], 2)
    late, early, last = _policy("late", ["Allow"], 20), _policy("early", ["Allow"], 10), _policy("last", ["Pass"])
    everything: tuple[Key, dict[str, object]] = (
        Key("GlobalNetworkPolicy", "default-deny"),
        {"spec": {"egress": [{"action": "Allow"}], "order": 0}},
    )

    walk = sorted([deny, empty, late, everything, early, last], key=lambda each: position(*each))
    assert [key.name for key, _ in walk] == ["early", "late", "last", "deny", "default-deny", "empty"]
    back = sorted(walk, key=lambda each: position(*each, delete=True))
    assert [key.name for key, _ in back] == ["empty", "default-deny", "deny", "last", "late", "early"]


def test_what_closes_by_selecting_everything_is_written_last() -> None:
    """A policy that denies one client and allows others is there before a default deny, of a namespace or of all."""
    mixed = _policy("zz-mixed", ["Deny", "Allow"])
    namespaced = (Key("NetworkPolicy", "a", "shop"), {"spec": {"egress": [{"action": "Allow", "protocol": "UDP"}]}})
    everywhere = (Key("GlobalNetworkPolicy", "a"), {"spec": {"selector": "all()", "order": 2000}})

    for closing, when in ((namespaced, Stage.CLOSING), (everywhere, Stage.SHUTTING)):
        assert stage(*closing) is when
        assert position(*mixed) < position(*closing)
        assert position(*closing, delete=True) < position(*mixed, delete=True)


def test_the_mesh_goes_off_after_its_peers_are_there() -> None:
    """Turning the node-to-node mesh off stands behind BGPPeers, any other BGPConfiguration before them."""
    key = Key("BGPConfiguration", "default")

    assert stage(key, {"spec": {"nodeToNodeMeshEnabled": False}}) is Stage.MESH_OFF
    assert stage(key, {"spec": {"nodeToNodeMeshEnabled": True}}) is Stage.MESH
    assert Stage.MESH < stage(Key("BGPPeer", "a"), {}) < Stage.MESH_OFF


def test_a_policy_waits_for_its_own_tier_only() -> None:
    """A tier that cannot be written holds back its policies, and no other tier's."""
    mine = (Key("NetworkPolicy", "ops.a", "shop"), {"spec": {"tier": "ops", "ingress": [{"action": "Allow"}]}})

    assert waits(placed(*mine), placed(Key("Tier", "ops"), {}))
    assert not waits(placed(*mine), placed(Key("Tier", "dev"), {}))
    assert not waits(placed(*mine), placed(Key("IPPool", "ops"), {}))


def test_an_allow_is_removed_only_when_its_replacement_is_written() -> None:
    """A policy's delete waits for policies that could not be written, and for denying ones that could not go."""
    old, new, deny = _policy("old", ["Allow"]), _policy("new", ["Allow"]), _policy("deny", ["Deny"])

    assert waits(placed(*old, delete=True), placed(*new))
    assert waits(placed(*old, delete=True), placed(*deny, delete=True))
    assert not waits(placed(*deny, delete=True), placed(*old, delete=True))
