"""Upstream Calico installed as decided, as a component: by its operator, or by patches of its manifests.

Upstream's own release is not repeated: its operator, or its manifest, is brought by the program (a ConfigFile), and the
component depends on it. What is decided is then said to the operator, or written into the manifest's objects, by force:
that is what these fields are for. etcd's certificates are secret in state and plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

import pulumi

from muslin.errors import BadInput, Problem
from muslin.pulumi import outputs
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.deciding import decided
from muslin.pulumi.naming import WRITER, annotated, resource_name, spoken, writer
from muslin.pulumi.provider import handed_on, provider_of
from muslin.pulumi.refusals import Refused
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from blueprints.upstream.network import Network
    from muslin.pulumi.looking_upstream_rules import Installing

__all__ = ["EtcdCredentials", "UpstreamInstallation"]

_ETCD_NAMESPACE: Final = "kube-system"
_ROLLOUT_S, _NODE_S = 600, 120
"""How long Pulumi waits until new agents run: its own time, and more where nodes are many, since they change one by
one."""


@dataclass(frozen=True, slots=True)
class EtcdCredentials:
    """PEM texts of a separate etcd's certificates; always secret in Pulumi's state."""

    ca: pulumi.Input[str] = field(repr=False)
    cert: pulumi.Input[str] = field(repr=False)
    key: pulumi.Input[str] = field(repr=False)


class UpstreamInstallation(pulumi.ComponentResource):
    """Upstream Calico, told what the blueprint decided.

    Args:
        name: beginning of all resources' names.
        args: as for `ReferenceNetwork`; the datastore may be etcd as well. `gate`, `shared` and policies do not matter;
            `force` names objects that are made here, as `Deployment/kube-system/calico-typha`.
        by: `operator` writes Installation and APIServer; `manifests` patches calico-config and calico-node, and adds
            Typha.
        etcd: its certificates, where etcd is decided.
        opts: of the component; `depends_on` upstream's operator or manifest.

    Attributes:
        decisions: Mapping[question, answer with its reasons].
        resources: the resources, in the order in which they are made: a network's `depends_on`.

    Raises:
        Refused: with every problem, as Pulumi's own error, before anything is registered.
    """

    decisions: pulumi.Output[Mapping[str, Any]]

    def __init__(
        self,
        name: str,
        args: ReferenceNetworkArgs,
        by: Literal["operator", "manifests"] = "operator",
        etcd: EtcdCredentials | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        from blueprints.upstream import operator  # noqa: PLC0415 - models are loaded by who decides
        from blueprints.upstream.network import network  # noqa: PLC0415 - as above
        from muslin.pulumi.looking_upstream import look_at_upstream  # noqa: PLC0415 - it loads our client of the API

        found = decided(args, installs=True)
        try:
            drawn = network(found.facts, found.blueprint)
            values = operator.installation(drawn) if by == "operator" else _manifests(drawn)
        except BadInput as refusal:
            raise Refused(refusal.problems) from None
        problems = _against(by, etcd, drawn)
        if problems:
            raise Refused(problems)
        look_at_upstream(_installing(by, values, etcd, drawn), args, opts)
        super().__init__("muslin:network:UpstreamInstallation", name, None, opts)
        provider = provider_of(self, name, args.client)
        self._opts = pulumi.ResourceOptions.merge(
            handed_on(provider, opts),
            pulumi.ResourceOptions(parent=self, retain_on_delete=args.retain or None),
        )
        made: list[pulumi.CustomResource] = []
        if etcd is not None:
            made.append(self._secret(name, etcd))
        for value in values:
            made.append(self._object(name, value, made, args, drawn.facts.size))
        self.resources: Sequence[pulumi.CustomResource] = tuple(made)
        decisions = outputs.told(found.blueprint, ())["decisions"]
        self.decisions = pulumi.Output.from_input(decisions)
        self.register_outputs({"decisions": decisions})

    def _secret(self, name: str, given: EtcdCredentials) -> pulumi.CustomResource:
        from pulumi_kubernetes.core.v1 import Secret  # noqa: PLC0415 - only with etcd
        from pulumi_kubernetes.meta.v1 import ObjectMetaArgs  # noqa: PLC0415 - as above

        from blueprints.upstream.etcd import SECRET  # noqa: PLC0415 - as above

        parts = {"etcd-ca": given.ca, "etcd-cert": given.cert, "etcd-key": given.key}
        return Secret(
            resource_name(name, Key("Secret", SECRET, _ETCD_NAMESPACE)),
            metadata=ObjectMetaArgs(**annotated({"name": SECRET, "namespace": _ETCD_NAMESPACE})),
            string_data={part: pulumi.Output.secret(text) for part, text in parts.items()},
            opts=self._opts,
        )

    def _object(
        self,
        name: str,
        value: Mapping[str, Any],
        after: Sequence[pulumi.Resource],
        args: ReferenceNetworkArgs,
        nodes: int,
    ) -> pulumi.CustomResource:
        told, key = value["metadata"], _key(value)
        patch = spoken(key) in _PATCHED
        force = patch or spoken(key) in _OPERATORS or spoken(key) in args.force
        kept = {part: content for part, content in value.items() if part not in ("apiVersion", "kind", "metadata")}
        within = f"{max(_ROLLOUT_S, nodes * _NODE_S)}s" if key.kind == "DaemonSet" else None
        opts = pulumi.ResourceOptions.merge(
            self._opts,
            pulumi.ResourceOptions(
                depends_on=list(after) or None,
                custom_timeouts=None if within is None else pulumi.CustomTimeouts(create=within, update=within),
            ),
        )
        inputs = {"metadata": annotated(told, force=force, more={WRITER: writer()}), **kept}
        return _Plain(
            value["apiVersion"], f"{key.kind}Patch" if patch else key.kind, resource_name(name, key), inputs, opts
        )


_PATCHED: Final = frozenset({"ConfigMap/kube-system/calico-config", "DaemonSet/kube-system/calico-node"})
"""Upstream's own objects, of which only what is decided is written."""

_OPERATORS: Final = frozenset({"APIServer/default", "Installation/default"})
"""What the operator is told with. It writes its defaults into them, into the list of pools too, which it then manages:
only by force can the next change reach them. Whoever else manages a field is told before."""


class _Plain(pulumi.CustomResource):
    """An object as JSON has it: the SDK's typed classes take no more than its keys, and each costs its module."""

    def __init__(
        self, api_version: str, kind: str, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        group = api_version if "/" in api_version else f"core/{api_version}"
        given = {"apiVersion": api_version, "kind": kind.removesuffix("Patch"), **inputs}
        plugin = pulumi.ResourceOptions(version=metadata.version("pulumi-kubernetes"))
        super().__init__(f"kubernetes:{group}:{kind}", name, given, pulumi.ResourceOptions.merge(opts, plugin))


def _key(value: Mapping[str, Any]) -> Key:
    metadata = value["metadata"]
    return Key(value["kind"], metadata["name"], metadata.get("namespace"))


def _installing(
    by: str, values: Sequence[Mapping[str, Any]], etcd: EtcdCredentials | None, drawn: Network
) -> Installing:
    """What is about to be written, as the cluster is asked about it."""
    from blueprints.upstream.etcd import SECRET  # noqa: PLC0415 - models are loaded by who decides
    from muslin.pulumi.looking_upstream_rules import Installing  # noqa: PLC0415 - as above

    objects = {_key(each): each for each in values}
    major, minor = drawn.version.lstrip("v").split(".")[:2]
    return Installing(
        objects,
        patched=frozenset(key for key in objects if spoken(key) in _PATCHED),
        by_operator=by == "operator",
        release=(int(major), int(minor)),
        secret=Key("Secret", SECRET, _ETCD_NAMESPACE) if etcd is not None else None,
    )


def _manifests(drawn: Network) -> tuple[dict[str, Any], ...]:
    from blueprints.upstream import manifests  # noqa: PLC0415 - models are loaded by who decides
    from blueprints.upstream.typha import typha  # noqa: PLC0415 - as above

    node = manifests.node_patch(drawn)
    for container in node["spec"]["template"]["spec"]["containers"]:
        gone = [each["name"] for each in container["env"] if each.get("$patch") == "delete"]
        if gone:
            fix = "install by the operator, or with kustomize: muslin render --for manifests"
            what = f"a Patch resource can't take {', '.join(gone)} out of upstream's DaemonSet"
            raise BadInput(Problem(what, "by=manifests", fix))
    return manifests.config_patch(drawn), *typha(drawn), node


def _against(by: str, etcd: EtcdCredentials | None, drawn: Network) -> list[Problem]:
    """Arguments that do not go with the decisions."""
    decided_etcd = drawn.datastore.value == "etcd"
    if by not in ("operator", "manifests"):
        return [Problem(f"there is no installation by {by!r}", "by", "operator or manifests")]
    if etcd is not None and not decided_etcd:
        return [Problem("etcd's certificates are given, and the datastore is kubernetes", "etcd", "take them out")]
    if etcd is None and decided_etcd:
        fix = "give EtcdCredentials, from secrets of the stack's configuration"
        return [Problem("the datastore is etcd, and its certificates are not given", "etcd", fix)]
    return []
