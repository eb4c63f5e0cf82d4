"""Passwords of BGP sessions as Secrets of Kubernetes, secret in Pulumi's state too, and who may read them."""

from __future__ import annotations

import pulumi

from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.naming import annotated, resource_name
from muslin.resources.keys import Key

__all__ = ["passwords"]

_KEY = "password"
_READERS = "bgp-passwords"


def passwords(
    component: str, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions
) -> tuple[pulumi.CustomResource, ...]:
    """A Secret for each password, then the right of the agents to read these and no others; nothing without any."""
    if not args.passwords:
        return ()
    from pulumi_kubernetes.core.v1 import Secret  # noqa: PLC0415 - only who has passwords pays for it
    from pulumi_kubernetes.meta.v1 import ObjectMetaArgs  # noqa: PLC0415 - as above

    made: list[pulumi.CustomResource] = []
    for name, password in args.passwords.items():
        key = Key("Secret", name, args.password_namespace)
        made.append(
            Secret(
                resource_name(component, key),
                metadata=ObjectMetaArgs(**annotated({"name": name, "namespace": args.password_namespace})),
                string_data={_KEY: pulumi.Output.secret(password)},
                opts=opts,
            )
        )
    return (*made, *_readable(component, args, opts))


def _readable(
    component: str, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions
) -> tuple[pulumi.CustomResource, ...]:
    if args.password_readers is None:
        return ()
    from pulumi_kubernetes.meta.v1 import ObjectMetaArgs  # noqa: PLC0415 - as above
    from pulumi_kubernetes.rbac.v1 import (  # noqa: PLC0415 - as above
        PolicyRuleArgs,
        Role,
        RoleBinding,
        RoleRefArgs,
        SubjectArgs,
    )

    namespace = args.password_namespace
    metadata = ObjectMetaArgs(**annotated({"name": _READERS, "namespace": namespace}))
    readable = PolicyRuleArgs(
        api_groups=[""], resources=["secrets"], resource_names=sorted(args.passwords), verbs=["get", "list", "watch"]
    )
    role = Role(
        resource_name(component, Key("Role", _READERS, namespace)), metadata=metadata, rules=[readable], opts=opts
    )
    binding = RoleBinding(
        resource_name(component, Key("RoleBinding", _READERS, namespace)),
        metadata=metadata,
        role_ref=RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=_READERS),
        subjects=[SubjectArgs(kind="ServiceAccount", name=args.password_readers, namespace=namespace)],
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[role])),
    )
    return role, binding
