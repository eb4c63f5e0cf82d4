"""Names of a workload that two implementations must compute alike: its host interface and its WorkloadEndpoint.

Source: Calico's `WorkloadEndpointIdentifiers` and `conversion` packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from muslin.errors import Problem

__all__ = ["EndpointName", "interface_of", "name_problems"]


def interface_of(namespace: str, pod: str, prefixes: str = "cali") -> str:
    """Host side interface of a pod: prefix and 11 hexadecimal digits, 15 characters with `cali`.

    `prefixes` is FelixConfiguration's interfacePrefix: a comma list of which the first counts; empty means `cali`.
    """
    prefix = prefixes.split(",", maxsplit=1)[0] or "cali"
    return prefix + hashlib.sha1(f"{namespace}.{pod}".encode(), usedforsecurity=False).hexdigest()[:11]


_IDENTITY = {"k8s": "pod", "cni": "container_id", "libnetwork": ""}
"""Which field is the third segment of a name; `workload` for every other orchestrator."""
_CALICO = {"container_id": "containerID"}


@dataclass(frozen=True, slots=True)
class EndpointName:
    """The parts of a WorkloadEndpoint's name. Inside a part every `-` is doubled when written."""

    node: str
    orchestrator: str = "k8s"
    pod: str = ""
    endpoint: str = ""
    container_id: str = ""
    workload: str = ""

    def __str__(self) -> str:
        return self.text()

    def text(self, *, prefix: bool = False) -> str:
        """The name, or with `prefix` as much of it as the parts before the first empty one give.

        Raises:
            ValueError: a part is missing (node and orchestrator always must be there), or begins or ends with `-`.
        """
        written = [_segment("node", self.node), _segment("orchestrator", self.orchestrator)]
        field = _IDENTITY.get(self.orchestrator, "workload")
        rest = [(field, getattr(self, field) if field else "libnetwork"), ("endpoint", self.endpoint)]
        for name, value in rest:
            if prefix and not value:
                return "-".join([*written, ""])
            written.append(_segment(name, value))
        return "-".join(written)

    @classmethod
    def parse(cls, text: str) -> EndpointName:
        """Read a name or a prefix of one. Raises ValueError where it has fewer than two or more than four parts."""
        node, *rest = (part.replace("\0", "-") for part in text.replace("--", "\0").split("-"))
        if not 1 <= len(rest) <= 3:
            raise ValueError(f"{text!r} is not the name of a WorkloadEndpoint such as node1-k8s-web--0-eth0")
        orchestrator, identity, endpoint = (*rest, "", "")[:3]
        field = _IDENTITY.get(orchestrator, "workload")
        return cls(node, orchestrator, endpoint=endpoint, **({field: identity} if field else {}))


def _segment(field: str, value: str) -> str:
    name = _CALICO.get(field, field)
    if not value:
        raise ValueError(f"the part {name} of a WorkloadEndpoint's name is empty")
    if value.startswith("-") or value.endswith("-"):
        raise ValueError(f"the part {name} of a WorkloadEndpoint's name begins or ends with '-': {value!r}")
    return value.replace("-", "--")


def name_problems(name: str, spec: Mapping[str, object]) -> tuple[Problem, ...]:
    """What is wrong with the name of a WorkloadEndpoint that has this spec: it must be the one that its parts give."""
    parts = {field: str(spec.get(_CALICO.get(field, field)) or "") for field in EndpointName.__slots__}
    try:
        expected = str(EndpointName(**parts))
    except ValueError as error:
        return (Problem(str(error), "spec", "set node, orchestrator, endpoint and what identifies the workload"),)
    if name == expected:
        return ()
    what = (
        "the WorkloadEndpoint name does not match the primary identifiers assigned in the Spec: "
        f"expected name {expected}"
    )
    return (Problem(what, "metadata.name", f"call it {expected}"),)
