"""What is made of a cluster's answers: wrong, missing, or fine. A real server answers in tests/stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.errors import BadInput
from muslin.kubernetes import errors as api
from muslin.pulumi.arguments import Client, ReferenceNetworkArgs
from muslin.pulumi.asking import Entry
from muslin.pulumi.looking import access_of, beside, secrets_named
from muslin.pulumi.looking_rules import GROUP, Objects, Seen, doubts, findings
from muslin.pulumi.naming import WRITER, writer
from muslin.resources.keys import Key

_POOL, _NODE = Key("IPPool", "a"), Key("Node", "n")
_POLICY = Key("NetworkPolicy", "p", "shop")
_OBJECTS: Objects = {_POOL: {}, _NODE: {}, _POLICY: {}}
_PEER = Key("BGPPeer", "p")
_KINDS = frozenset({"IPPool", "NetworkPolicy"})
_ARGS = ReferenceNetworkArgs({})


def _told(seen: Seen, args: ReferenceNetworkArgs = _ARGS) -> tuple[list[str], list[str]]:
    wrong, missing = findings(seen, _OBJECTS, args)
    return [each.what for each in wrong], [each.what for each in missing]


def _conflict(manager: str) -> api.Conflict:
    cause = api.Cause("FieldManagerConflict", f'conflict with "{manager}" using projectcalico.org/v3', ".spec.cidr")
    return api.Conflict(409, "Conflict", "conflict", "ippools/a", (cause,))


def test_a_cluster_that_takes_everything() -> None:
    """Nothing is told of a cluster whose dry runs all went through."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, (), dict.fromkeys(_OBJECTS))

    assert _told(seen) == ([], [])


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (frozenset({"v1"}), "the cluster has no definitions of projectcalico.org/v3"),
        (
            frozenset({"crd.projectcalico.org/v1"}),
            "this is an older Calico",
        ),
    ],
)
def test_definitions(versions: frozenset[str], said: str) -> None:
    """Definitions that are not there may come with the same program; an older Calico is told as such."""
    wrong, missing = _told(Seen("server", versions))

    assert (wrong, [each.partition(":")[0] for each in missing]) == ([], [said])


def test_what_is_absent_may_come() -> None:
    """Kinds, namespaces and nodes that are not there are missing, not wrong."""
    gone = api.NotFound(404, "NotFound", "not found", "x")
    seen = Seen("server", frozenset({GROUP}), frozenset({"IPPool"}), (), {_NODE: gone, _POLICY: gone})

    assert _told(seen) == (
        [],
        ["the cluster does not serve NetworkPolicy", "the cluster has no node n", "the namespace shop is not there"],
    )


def test_rights_are_told_by_kind() -> None:
    """One problem for each kind, with all verbs."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, (("IPPool", "create"), ("IPPool", "patch"), ("Node", "get")))

    assert _told(seen)[0] == [
        "this user may not create, patch IPPool objects", "this user may not get Node objects",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("manager", "force", "said"),
    [
        ("pulumi-kubernetes-0a1b2c3d", (), "somebody else set this field to another value"),
        ("kubectl", (), "somebody else set this field to another value"),
        ("tigera-operator/installation", (), "the operator owns this field and wants another value"),
        ("pulumi-kubernetes", (), None),
        ("kubectl", ("IPPool/a",), None),
    ],
)
def test_fields_of_others(manager: str, force: tuple[str, ...], said: str | None) -> None:
    """Conflicts are told by field and manager; the provider's own, and those that are forced, are none."""
    ours = {_POOL: {"pulumi.com/patchFieldManager": "muslin"}}
    seen = Seen("server", frozenset({GROUP}), _KINDS, (), {_POOL: _conflict(manager)}, annotations=ours)
    wrong = findings(seen, _OBJECTS, ReferenceNetworkArgs({}, force=force))[0]

    assert [each.what.partition(" (")[0] for each in wrong] == ([] if said is None else [said])
    assert [each.where for each in wrong] == ([] if said is None else ["IPPool/a  spec.cidr"])


def test_fields_of_another_program_of_pulumis() -> None:
    """What a program made that does not name our manager is somebody else's: the provider would fail at it."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, (), {_POOL: _conflict("pulumi-kubernetes")})

    assert [each.partition(" (")[0] for each in _told(seen)[0]] == ["somebody else set this field to another value"]


@pytest.mark.parametrize(
    ("stack", "force", "said"),
    [
        ("other/dev", (), ["the stack other/dev writes IPPool/a already: one writer at a time"]),
        ("other/dev", ("IPPool/a",), []),
        (writer(), (), []),
    ],
)
def test_an_object_of_another_stack(stack: str, force: tuple[str, ...], said: list[str]) -> None:
    """Two stacks have one manager, so Kubernetes would not tell that they write the same object."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, annotations={_POOL: {WRITER: stack}})

    assert _told(seen, ReferenceNetworkArgs({}, force=force))[0] == said


def test_what_a_server_calls_invalid() -> None:
    """The server's own words, with the object that they are about."""
    cause = api.Cause("FieldValueInvalid", "spec.cidr is no prefix", "spec.cidr")
    invalid = api.Invalid(422, "Invalid", "invalid", "ippools/a", (cause,))
    wrong = findings(Seen("server", frozenset({GROUP}), _KINDS, (), {_POOL: invalid}), _OBJECTS, _ARGS)[0]

    assert [(each.what, each.where.partition(" ")[0]) for each in wrong] == [("spec.cidr is no prefix", "IPPool/a")]


def test_a_reconcilers_object() -> None:
    """One writer at a time."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, (), {}, {"IPPool/a": "default"})

    assert _told(seen)[0] == ["a reconciler writes IPPool/a already: one writer at a time"]


@pytest.mark.parametrize(
    ("pools", "told"),
    [
        ({"b": "10.48.128.0/17"}, ["the cluster's pool b has addresses of 10.48.0.0/16: 10.48.128.0/17"]),
        ({"a": "10.48.0.0/16", "b": "10.49.0.0/16", "c": "2001:db8::/32", "d": "nothing"}, []),
    ],
)
def test_a_pool_of_others_with_the_same_addresses(pools: dict[str, str], told: list[str]) -> None:
    """Calico's own API takes both: so the second range is told; our own pool as it is there is none."""
    seen = Seen("server", frozenset({GROUP}), _KINDS, pools=pools)
    wrong, _ = findings(seen, {_POOL: {"spec": {"cidr": "10.48.0.0/16"}}}, _ARGS)

    assert [each.what for each in wrong] == told


def test_what_is_written_beside() -> None:
    """Reports and passwords are asked about as well, where there are any: their kinds, rights and namespace."""
    objects: Objects = {Key("BGPConfiguration", "default"): {"spec": {"nodeToNodeMeshEnabled": False}}, _PEER: {}}
    args = ReferenceNetworkArgs({}, passwords={"bgp": "x"}, password_namespace="calico-system")
    found = beside(objects, args)
    seen = Seen("server", frozenset({GROUP}), frozenset({"BGPConfiguration", "BGPPeer"}), others=found)

    assert [(each.kind, each.namespace) for each in found] == [
        ("CalicoNodeStatus", None), ("Secret", "calico-system"), ("Role", "calico-system"),
        ("RoleBinding", "calico-system"),
    ]  # fmt: skip
    assert beside({_PEER: {}}, ReferenceNetworkArgs({})) == ()
    assert [each.what for each in findings(seen, objects, args)[1]] == ["the cluster does not serve CalicoNodeStatus"]


def test_passwords_that_somebody_else_brings() -> None:
    """A Secret, or its entry, that is not there is missing; one that we may not see is told, and refuses nothing."""
    named = {"spec": {"password": {"secretKeyRef": {"name": "bgp", "key": "password"}}}}
    objects: Objects = {_PEER: named, Key("BGPPeer", "q"): named, Key("BGPPeer", "r"): {"spec": {}}}
    secrets = secrets_named(objects, ReferenceNetworkArgs({}, password_namespace="calico-system"))
    (asked, peers), *others = secrets.items()

    assert (asked, others) == ((Key("Secret", "bgp", "calico-system"), "password"), [])
    assert [each.name for each in peers] == ["p", "q"]
    assert secrets_named(objects, ReferenceNetworkArgs({}, passwords={"bgp": "x"})) == {}
    told = {
        entry: Seen("server", frozenset({GROUP}), frozenset({"BGPPeer"}), secrets={asked: (entry, peers)})
        for entry in Entry
    }
    assert {
        entry: [each.what.partition(":")[0] for each in (*findings(seen, objects, _ARGS)[1], *doubts(seen))]
        for entry, seen in told.items()
    } == {
        Entry.THERE: [],
        Entry.ABSENT: ["the Secret calico-system/bgp is not there"],
        Entry.WITHOUT: ["the Secret calico-system/bgp has no entry password"],
        Entry.UNSEEN: ["this user may not see whether the Secret calico-system/bgp is there"],
    }
    assert [bool(doubts(seen)) for seen in told.values()] == [False, False, False, True]


def test_which_cluster_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kubeconfig's text, a path, or KUBECONFIG: as the provider finds it."""
    text = (
        '{"apiVersion": "v1", "kind": "Config", "current-context": "c",'
        ' "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],'
        ' "users": [{"name": "u", "user": {"token": "t"}}],'
        ' "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}'
    )
    path = str(tmp_path / "config")
    Path(path).write_text(text, "utf-8")
    monkeypatch.setenv("KUBECONFIG", path)

    assert {access_of(Client(kubeconfig=given)).server for given in (text, path, None)} == {"https://192.0.2.1:6443"}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("/one/config:/other/config", "kubeconfig: /one/config:/other/config"),
        ("/nowhere", "kubeconfig: /nowhere"),
        ("/a\0b", "kubeconfig"),
        ("YXBpVmVyc2lvbjogdjEK" * 200, "kubeconfig"),
    ],
)
def test_what_is_no_kubeconfig(given: str, where: str) -> None:
    """Neither a text nor a path, as the provider takes them: told, and what may be credentials is not shown."""
    with pytest.raises(BadInput) as refused:
        access_of(Client(kubeconfig=given))

    assert [each.where for each in refused.value.problems] == [where]


def test_no_cluster_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing says which cluster is meant, a program is told how to say it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BadInput, match="no kubeconfig says which cluster is meant"):
        access_of(Client())
