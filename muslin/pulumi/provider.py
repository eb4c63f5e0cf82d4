"""The components' own Kubernetes provider: how fast it asks, and that it takes over what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from muslin.pulumi.arguments import Client

if TYPE_CHECKING:
    from pulumi_kubernetes import Provider

__all__ = ["handed_on", "provider_of"]

_PACKAGE = "kubernetes:index:Provider"


def provider_of(component: pulumi.ComponentResource, name: str, client: Client) -> Provider | None:
    """A provider as a child of the component; None where the program gave it one, or its parent has one.

    It makes objects with server-side apply also where they exist (`upsertExistingObjects`): `default` and Calico's own
    pools are adopted, and a field that somebody else set to another value is a conflict, told at preview. Secrets are
    changed in place, so that a new password never leaves a moment without any.

    Where no kubeconfig is given, the provider looks for one by itself, as kubectl does. The SDK would hand it the text
    of KUBECONFIG as a path: several files could not be read, and a state that remembers where one machine has its file
    is of no use on the next. Server-side apply is said, because a variable of the environment turns it off otherwise.
    """
    if component.get_provider(_PACKAGE) is not None:
        return None
    import pulumi_kubernetes as kubernetes  # noqa: PLC0415 - only programs that make one

    return kubernetes.Provider(
        f"{name}-kubernetes",
        # credentials may stand in it
        kubeconfig="" if client.kubeconfig is None else pulumi.Output.secret(client.kubeconfig),
        context=client.context,
        enable_server_side_apply=True,
        upsert_existing_objects=True,
        enable_secret_mutable=True,
        kube_client_settings=kubernetes.KubeClientSettingsArgs(qps=client.qps, burst=client.burst),
        opts=pulumi.ResourceOptions(parent=component),
    )


def handed_on(provider: Provider | None, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Options of a component for what it makes: its provider, where children do not find one, and `depends_on`.

    Pulumi makes children after what their component waits for, and does not record it: on the way down what they need
    could go first.
    """
    after = None if opts is None else opts.depends_on
    return pulumi.ResourceOptions(provider=provider, depends_on=after)
