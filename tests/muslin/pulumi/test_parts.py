"""Parts by themselves, secrets, configuration: what a program can do beside the whole network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

from muslin.pulumi import (
    Client,
    EtcdCredentials,
    Peering,
    Policy,
    Pools,
    ReferenceNetwork,
    ReferenceNetworkArgs,
    Refused,
    configured,
    naming,
)
from muslin.pulumi.components import CONCERNS
from reconciler.manifests import declarable
from tests.blueprints.clusters import facts, nodes_in
from tests.muslin.pulumi.recording import Program, run

_SWITCH = {"name": "t1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"], "passwordSecret": "bgp"}
_RACK = {
    "nodes": [{"name": f"n{index}", "address": f"192.0.2.{index}", "rack": "r1"} for index in (1, 2)],
    "topOfRack": [_SWITCH],
}
_PASSWORD = "not for everybody"


def _with_password(**args: Any) -> Program:
    return run(
        lambda: ReferenceNetwork(
            "net",
            ReferenceNetworkArgs(
                facts(**_RACK), "top_of_rack", passwords={"bgp": _PASSWORD}, look_first=False, gate=None, **args
            ),
        )
    )


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        (Pools, {"IPPool", "FelixConfigurationPatch"}),
        (Peering, {"BGPConfiguration", "BGPPeer", "NodePatch", "CalicoNodeStatus"}),
        (Policy, {"GlobalNetworkPolicy"}),
    ],
)
def test_a_part_by_itself(part: type[Pools], kinds: set[str]) -> None:
    """Each concern can be used alone: it decides from the same facts and writes its own kinds."""
    args = ReferenceNetworkArgs(facts(**nodes_in(3, 3)), "route_reflectors", look_first=False)
    done = run(lambda: part("net", args))
    made = {each.type.rpartition(":")[2] for each in done.resources.values() if "metadata" in each.inputs}

    assert done.error is None
    assert kinds == made
    assert done.outputs["net"]["decisions"]


def test_every_kind_is_of_one_concern() -> None:
    """No object can be of two concerns, and none of what a repository may declare is of none."""
    kinds = [kind for concern in CONCERNS for kind in concern.KINDS]

    assert len(set(kinds)) == len(kinds)
    assert set(declarable()) <= set(kinds)


def test_a_provider_of_the_program_is_used() -> None:
    """A program that has a provider gives it to the component, which makes none then."""

    def program() -> None:
        import pulumi_kubernetes as kubernetes  # noqa: PLC0415 - as programs of the SDK do

        own = kubernetes.Provider("own")
        ReferenceNetwork("net", ReferenceNetworkArgs(facts(), "single_subnet"), pulumi.ResourceOptions(provider=own))

    done = run(program)

    assert done.error is None
    assert {each.provider for each in done.resources.values() if "metadata" in each.inputs} == {"own"}
    assert done.of(":kubernetes") == ["own"]


def test_passwords_are_secret_and_first() -> None:
    """The Secret's content is secret for Pulumi; peers that use it wait for it; agents may read it and no other."""
    done = _with_password()
    secret = done.resources["net-secret-kube-system-bgp"]
    role = done.resources["net-role-kube-system-bgp-passwords"].inputs

    assert [path.partition(".")[0] for path in secret.secrets] == ["stringData"]
    assert secret.hidden_outputs == ("data", "stringData")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["bgp"], "verbs": ["get", "list", "watch"]}
    ]
    assert "net-role-kube-system-bgp-passwords" in done.resources["net-rolebinding-kube-system-bgp-passwords"].after
    assert all("net-secret-kube-system-bgp" in done.resources[peer].after for peer in done.of(":BGPPeer"))
    assert done.of(":BGPPeer")


def test_a_password_is_nowhere_else() -> None:
    """Neither another resource nor an output holds it."""
    done = _with_password()
    others = [each for name, each in done.resources.items() if name != "net-secret-kube-system-bgp"]

    assert _PASSWORD in str(done.resources["net-secret-kube-system-bgp"])
    assert _PASSWORD not in str(others) + str(done.outputs)


def test_passwords_of_reflectors_outside() -> None:
    """A reflector outside of the cluster may have a password too."""
    outside = [
        {"name": f"rr{last}", "address": f"192.0.2.{last}", "asNumber": 64512, "passwordSecret": "rr"}
        for last in (253, 254)
    ]
    given = facts(externalReflectors=outside)
    args = ReferenceNetworkArgs(given, "route_reflectors", passwords={"rr": _PASSWORD}, look_first=False)
    done = run(lambda: ReferenceNetwork("net", args))

    assert done.error is None
    assert all("net-secret-kube-system-rr" in done.resources[peer].after for peer in done.of(":BGPPeer"))
    assert len(done.of(":CalicoNodeStatus")) == 2


def test_agents_that_may_read_already() -> None:
    """Without readers nobody is given a right."""
    done = _with_password(password_readers=None)

    assert done.of(":Role", ":RoleBinding") == []


def test_the_configuration_as_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key of a stack's configuration reaches the arguments, with its type."""
    monkeypatch.chdir(tmp_path)
    read: list[ReferenceNetworkArgs] = []
    given = {
        "factsFile": "other.yaml", "defaultPolicy": "false", "waitSeconds": "60", "retain": "true", "qps": "50",
        "shared": ["BGPConfiguration/default"], "passwords": {"bgp": _PASSWORD}, "context": "test",
    }  # fmt: skip
    done = run(lambda: read.append(configured("single_subnet")), given)

    assert done.error is None
    assert (read[0].facts, read[0].blueprint, read[0].default_policy, read[0].retain) == (
        "other.yaml", "single_subnet", False, True,
    )  # fmt: skip
    assert read[0].gate is not None
    assert (read[0].gate.timeout_s, read[0].client.qps, read[0].client.context) == (60, 50, "test")
    assert (read[0].shared, list(read[0].passwords)) == (("BGPConfiguration/default",), ["bgp"])


def test_a_password_of_the_configuration_is_secret() -> None:
    """Also one that was set without --secret: a program that exports it shows nothing."""
    done = run(
        lambda: _Kept(configured("top_of_rack").passwords["bgp"]),
        {"passwords": {"bgp": _PASSWORD}},
    )

    assert done.resources["kept"].secrets == ("value",)


class _Kept(pulumi.CustomResource):
    """Shows how a value arrives where a program hands it on."""

    def __init__(self, value: pulumi.Input[str]) -> None:
        super().__init__("test:index:Kept", "kept", {"value": value})


def test_no_configuration_is_the_defaults() -> None:
    """A stack without configuration reads cluster.yaml beside the program, and waits for sessions."""
    read: list[ReferenceNetworkArgs] = []
    run(lambda: read.append(configured("multi_subnet")))

    assert read[0] == ReferenceNetworkArgs("cluster.yaml", "multi_subnet")


def test_wrong_configuration_at_once() -> None:
    """Every value of a wrong type is told, with the command that sets it, and never with the value."""
    given = {"retain": "maybe", "waitSeconds": "long", "shared": "IPPool/x", "passwords": '{"bgp": ""}', "qps": "0"}
    done = run(lambda: configured("single_subnet"), given)

    assert isinstance(done.error, Refused)
    said = str(done.error)
    for part in (
        "retain is not true or false",
        "waitSeconds is not a whole",
        "shared is not a",
        "a password is",
        "qps",
    ):
        assert part in said
    assert "pulumi config set retain" in said
    assert "maybe" not in said


def test_a_misspelt_key() -> None:
    """A key that is nearly one of ours is refused, since it would be without effect; others are a program's."""
    done = run(lambda: configured("single_subnet"), {"defaultPolices": "false", "region": "north"})
    own = run(lambda: configured("single_subnet"), {"region": "north"})

    assert isinstance(done.error, Refused)
    assert "there is no defaultPolices; defaultPolicy is probably meant" in str(done.error)
    assert "region" not in str(done.error)
    assert own.error is None


@pytest.mark.parametrize("key", ["wait_for_sessions", "facts-file", "look_first", "defaultpolicy", "WaitSecond"])
def test_a_key_in_another_fashion(key: str) -> None:
    """Python's way to write a name, or a shell's, is no key: what it says would be without effect."""
    done = run(lambda: configured("single_subnet"), {key: "false"})

    assert f"there is no {key}; " in str(done.error)


def test_an_empty_kubeconfig_is_none() -> None:
    """What a pipeline sets from a variable that is not there means the usual one, to us and to Pulumi's provider."""
    read: list[ReferenceNetworkArgs] = []
    run(lambda: read.append(configured("single_subnet")), {"kubeconfig": "", "context": ""})

    assert read[0].client == Client()


def test_arguments_show_no_secret() -> None:
    """Who logs the arguments logs no password, credentials or certificate."""
    args = ReferenceNetworkArgs("x", passwords={"bgp": _PASSWORD}, client=Client(kubeconfig=_PASSWORD))

    assert _PASSWORD not in repr((args, EtcdCredentials(ca=_PASSWORD, cert=_PASSWORD, key=_PASSWORD)))


def test_facts_that_are_not_there() -> None:
    """A file that is missing is told with its path and what to do."""
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs("nowhere.yaml")))

    assert isinstance(done.error, Refused)
    assert "the facts can't be read: No such file or directory" in str(done.error)


def test_facts_that_are_an_output() -> None:
    """Facts decide which resources there are, so they can't be known later."""
    done = run(lambda: ReferenceNetwork("net", ReferenceNetworkArgs(pulumi.Output.from_input({}))))  # type: ignore[arg-type]

    assert isinstance(done.error, Refused)
    assert "an Output can't be the facts" in str(done.error)


def test_the_manager_is_the_reconcilers() -> None:
    """Both write under one name, which is spelt twice so that neither loads the other."""
    from muslin.datastore.kubernetes.views import FIELD_MANAGER  # noqa: PLC0415 - only to compare

    assert naming.FIELD_MANAGER == FIELD_MANAGER


def test_what_the_component_waits_for_every_object_waits_for() -> None:
    """`depends_on` of the network is recorded with each object, so that deletes keep the order too."""

    def program() -> None:
        import pulumi_kubernetes as kubernetes  # noqa: PLC0415 - as programs of the SDK do

        first = kubernetes.Provider("first")
        args = ReferenceNetworkArgs(facts(), "single_subnet", look_first=False)
        ReferenceNetwork("net", args, pulumi.ResourceOptions(depends_on=[first]))

    done = run(program)
    objects = [each for each in done.resources.values() if "metadata" in each.inputs]

    assert done.error is None
    assert len(objects) == 3
    assert all("first" in each.after for each in objects)


def test_two_networks_in_one_program() -> None:
    """A program for two clusters: nothing of one has a name of the other."""

    def program() -> None:
        for name in ("a", "b"):
            ReferenceNetwork(name, ReferenceNetworkArgs(facts(), "single_subnet", look_first=False))

    done = run(program)

    assert done.error is None
    assert len(done.of(":IPPool")) == 2


def test_a_cluster_that_is_yet_to_be_made() -> None:
    """A kubeconfig that is an output is secret for the provider, and the cluster is not asked beforehand."""

    def program() -> None:
        later = pulumi.Output.from_input("kubeconfig of tomorrow")
        ReferenceNetwork("net", ReferenceNetworkArgs(facts(), "single_subnet", client=Client(kubeconfig=later)))

    done = run(program)

    assert done.error is None
    assert done.resources["net-kubernetes"].secrets == ("kubeconfig",)


def test_nobody_else_loads_pulumi() -> None:
    """Outside of this package nothing that is shipped imports it, or Pulumi."""
    root = Path(__file__).parents[3]
    files = [path for room in ("muslin", "blueprints", "reconciler", "runtime") for path in (root / room).rglob("*.py")]
    others = [path for path in files if (root / "muslin" / "pulumi") not in path.parents]
    loading = re.compile(r"^\s*(?:from|import) (?:muslin\.)?pulumi(?:_kubernetes)?\b", re.MULTILINE)

    assert len(others) > 200
    assert [str(path) for path in others if loading.search(path.read_text("utf-8"))] == []
