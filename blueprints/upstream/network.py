"""What an installation of upstream Calico must be like: drawn from facts and decisions once, for both ways to install.

Who installs (`operator`, `manifests`, Pulumi) and who compares (`checks`) read the same values from here, so that what
is written and what is asked for cannot differ.
"""

from __future__ import annotations

import enum
import re
import textwrap
from dataclasses import dataclass
from typing import Final

from blueprints import reflectors
from blueprints.decision import Blueprint, Decision
from blueprints.fact_parts import DatastoreWish, KubeProxyMode
from blueprints.facts import Facts
from blueprints.upstream.etcd_endpoints import endpoint_problems
from muslin.errors import BadInput, Problem
from muslin.resources.ip_pool import IPPool

__all__ = ["CALICO_VERSION", "Backend", "Network", "network"]

CALICO_VERSION: Final = "v3.32.1"
"""Of upstream Calico, where nobody says another: the release that this was written against."""

_VERSION: Final = re.compile(r"v\d{1,3}\.\d{1,3}\.\d{1,3}(-[0-9A-Za-z.-]{1,64})?", re.ASCII)
_WIDTH: Final = 100


class Backend(enum.Enum):
    """What calico-node runs beside Felix; the value is what `calico_backend` says."""

    BIRD = "bird"
    VXLAN = "vxlan"


@dataclass(frozen=True, slots=True)
class Network:
    """A decided network, as an installation needs it.

    Attributes:
        facts: what was told.
        blueprint: what was decided of it.
        datastore: KUBERNETES or ETCD; upstream has no other.
        typha_replicas: how many processes fan out; 0 where agents ask the datastore themselves.
        backend: whether BIRD runs.
        mtu: of pods and of tunnels, bytes.
        pools: all of them, the default one of each family first.
        version: of upstream Calico, such as v3.32.1.
    """

    facts: Facts
    blueprint: Blueprint
    datastore: DatastoreWish
    typha_replicas: int
    backend: Backend
    mtu: int
    pools: tuple[IPPool, ...]
    version: str = CALICO_VERSION

    def decision(self, name: str) -> Decision | None:
        """The decision of this name; None where it was not asked."""
        return next((each for each in self.blueprint.decisions if each.name == name), None)

    def told(self, *names: str) -> str:
        """These decisions as lines of a comment, each with its answer and its rule."""
        found = (self.decision(name) for name in names)
        return "\n".join(_wrapped(each) for each in found if each is not None)

    @property
    def reflecting(self) -> bool:
        """Whether nodes of the cluster reflect routes: nothing else shall run on these."""
        return any(reflectors.LABEL in each.metadata.labels for each in self.blueprint.resources if each.kind == "Node")

    @property
    def nftables(self) -> bool:
        """Whether kube-proxy writes nftables, which Felix must then do as well."""
        return self.facts.kubernetes.kube_proxy_mode is KubeProxyMode.NFTABLES

    @property
    def one_mtu(self) -> bool:
        """Whether every hop that the facts tell of has the same MTU."""
        return len({value for _, value in self.facts.mtus()}) == 1

    def subnets(self, version: int) -> tuple[str, ...]:
        """Prefixes that nodes' addresses of this family lie in."""
        return tuple(str(each.cidr) for each in self.facts.subnets_of(version))


def _wrapped(decision: Decision) -> str:
    rule = f"{decision.rule[:1].upper()}{decision.rule[1:]}".rstrip(".")
    return textwrap.fill(f"{decision.name}: {decision.chosen}. {rule}.", _WIDTH)


def network(facts: Facts, blueprint: Blueprint, *, version: str = CALICO_VERSION, file: str = "the facts") -> Network:
    """The decided network that upstream Calico is to be installed for.

    Args:
        facts: the same that the blueprint was asked about.
        blueprint: its decisions and resources.
        version: of upstream Calico.
        file: name of the facts, for what is wrong with them.

    Raises:
        BadInput: upstream Calico cannot be installed so.
    """
    chosen = {each.name: each.chosen for each in blueprint.decisions}
    datastore = DatastoreWish(chosen["datastore"])
    problems: tuple[Problem, ...] = ()
    if _VERSION.fullmatch(version) is None:
        problems = (Problem(f"{version!r} is no version of Calico", "--calico-version", f"write {CALICO_VERSION}"),)
    elif datastore is DatastoreWish.EMBEDDED:
        what = "upstream Calico keeps its resources in Kubernetes or in etcd, not in a file"
        problems = (Problem(what, f"{file}  datastore", "say datastore: kubernetes, or use Muslin's own agents"),)
    elif datastore is DatastoreWish.ETCD:
        problems = endpoint_problems(facts, file)
    if problems:
        raise BadInput(problems)
    fans_out = chosen.get("fan-out") == "on"
    return Network(
        facts=facts,
        blueprint=blueprint,
        datastore=datastore,
        typha_replicas=int(chosen["fan-out replicas"]) if fans_out else 0,
        backend=Backend(chosen["backend"]),
        mtu=int(chosen["MTU"]),
        pools=tuple(each for each in blueprint.resources if isinstance(each, IPPool)),
        version=version,
    )
