"""Asks the cluster, at preview, for everything that would make a write fail later: the shell of `looking_rules`.

Each object is applied in a dry run, as the manager that Pulumi will be: Kubernetes then answers what is invalid and
which field another manager owns. Pulumi's own preview hides the second, because it forces where it has no state yet.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import pulumi

from muslin.conversion.kinds import CRD_KINDS, native_path
from muslin.datastore.kubernetes.store import KubernetesDatastore
from muslin.errors import BadInput, MuslinError, Problem
from muslin.kubernetes import errors as api
from muslin.kubernetes.access import Access
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from muslin.pulumi.arguments import Client, ReferenceNetworkArgs
from muslin.pulumi.looking_rules import GROUP, Objects, Seen, findings
from muslin.pulumi.naming import FIELD_MANAGER, spoken
from muslin.pulumi.ordering import turns_mesh_off
from muslin.pulumi.refusals import Refused
from muslin.resources.keys import Key
from reconciler.ledger import KIND as LEDGER
from reconciler.ledger import Ledger

__all__ = ["access_of", "beside", "look", "see"]

_VERBS: Final = ("get", "create", "patch", "delete")
_NODE_VERBS: Final = ("get", "patch")
_AT_ONCE: Final = 32
_RBAC: Final = "rbac.authorization.k8s.io"
_OF_KUBERNETES: Final = {
    "Node": ("", "nodes"), "Secret": ("", "secrets"), "Role": (_RBAC, "roles"), "RoleBinding": (_RBAC, "rolebindings"),
}  # fmt: skip
"""Mapping[kind, (group, plural)] of what is not Calico's."""
_Result = TypeVar("_Result")


def look(objects: Objects, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
    """Refuse what cannot be written, before anything is.

    Not where the program says no, where it gives a provider of its own without saying which cluster that is, and not
    where the cluster is yet to be made. With `depends_on`, what is missing (definitions, namespaces) is a warning: the
    program may be about to bring it.

    Raises:
        Refused: with every problem.
    """
    client = args.client
    if not args.look_first or (client.kubeconfig is None and _has_provider(opts)):
        return
    if client.kubeconfig is not None and not isinstance(client.kubeconfig, str):
        pulumi.log.info(
            "the cluster is not looked at beforehand: its kubeconfig is not known before the program has run"
        )
        return
    try:
        access = access_of(client)
        seen = _apart(see(access, objects, client, beside(objects, args)))
    except MuslinError as error:
        raise Refused(error.problems) from None
    problems, missing = findings(seen, objects, args)
    brought = opts is not None and bool(opts.depends_on)
    for problem in missing if brought else ():
        pulumi.log.warn(str(problem))
    refused = problems if brought else (*missing, *problems)
    if refused:
        raise Refused(refused)


def beside(objects: Objects, args: ReferenceNetworkArgs) -> tuple[Key, ...]:
    """What a component writes beside the blueprint's objects: reports that are waited for, passwords, who reads them.

    Only kinds and namespaces count; a report's name follows from its node.
    """
    gated = args.gate is not None and any(turns_mesh_off(key, value) for key, value in objects.items())
    found = [Key("CalicoNodeStatus", "sessions")] if gated else []
    if args.passwords and any(key.kind == "BGPPeer" for key in objects):
        found += [Key("Secret", name, args.password_namespace) for name in args.passwords]
        readers = ("Role", "RoleBinding") if args.password_readers is not None else ()
        found += [Key(kind, "bgp-passwords", args.password_namespace) for kind in readers]
    return tuple(found)


def _has_provider(opts: pulumi.ResourceOptions | None) -> bool:
    if opts is None:
        return False
    inherited = opts.parent is not None and opts.parent.get_provider("kubernetes:index:Provider") is not None
    return bool(opts.provider or opts.providers or inherited)


def access_of(client: Client) -> Access:
    """Which API server, as the provider finds it: a text or path, else KUBECONFIG, else the usual file, else the pod.

    Raises BadInput.
    """
    given = client.kubeconfig if isinstance(client.kubeconfig, str) else None
    if given is not None and ("\n" in given or given.lstrip().startswith("{")):
        return find_access(inline=given, context=client.context)
    usual = Path("~/.kube/config").expanduser()
    path = given or os.environ.get("KUBECONFIG") or (str(usual) if usual.is_file() else None)
    if path is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        fix = "set KUBECONFIG, or kubeconfig in the stack's configuration; lookFirst: false goes without asking"
        raise BadInput(Problem("no kubeconfig says which cluster is meant", "KUBECONFIG", fix))
    return find_access(kubeconfig=path, context=client.context)


def _apart(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it on a loop of its own: the program runs on Pulumi's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def see(access: Access, objects: Objects, client: Client, others: tuple[Key, ...] = ()) -> Seen:
    """Everything that the rules ask about; `others` as of `beside`.

    Raises:
        BadInput: credentials that can't be right.
        MuslinError: the API does not answer, or not to us.
    """
    connection = await KubernetesClient.connect(access, limits=Limits(qps=client.qps, burst=client.burst))
    try:
        try:
            versions = await connection.group_versions()
        except api.Unauthorized as error:
            raise BadInput(error.problems) from error
        if GROUP not in versions:
            return Seen(access.server, versions)
        served = {each["kind"] for each in (await connection.resources(GROUP)).values()}
        denied = await _denied(connection, (*objects, *others))
        usable = {key: value for key, value in objects.items() if key.kind in served or key.kind == "Node"}
        answers = {} if denied else await _each(usable, lambda key: _tried(connection, key, objects[key]))
        answers |= await _each({key: None for key in others if key.namespace}, lambda key: _homeless(connection, key))
        there = {} if denied else await _each(usable, lambda key: _annotations(connection, key))
        reconciled = await _reconciled(connection, versions)
        return Seen(access.server, versions, frozenset(served), denied, answers, reconciled, others, there)
    finally:
        await connection.close()


async def _each(keys: Mapping[Key, Any], ask: Callable[[Key], Awaitable[_Result]]) -> dict[Key, _Result]:
    """Ask about each, so many at once."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(key: Key) -> _Result:
        async with room:
            return await ask(key)

    return dict(zip(keys, await asyncio.gather(*(one(key) for key in keys)), strict=True))


async def _denied(connection: KubernetesClient, keys: Iterable[Key]) -> tuple[tuple[str, str], ...]:
    """(Kind, verb) of everything that we may not do."""
    wanted = {(key.kind, key.namespace if key.kind in _OF_KUBERNETES else None) for key in keys}
    asked = sorted(
        (kind, verb, namespace or "")
        for kind, namespace in wanted
        for verb in (_NODE_VERBS if kind == "Node" else _VERBS)
    )

    async def may(kind: str, verb: str, namespace: str) -> bool:
        group, plural = _OF_KUBERNETES.get(kind) or (GROUP.partition("/")[0], CRD_KINDS[kind].plural)
        attributes = {"group": group, "resource": plural, "verb": verb, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await connection.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer.get("status") or {}).get("allowed"))

    allowed = await asyncio.gather(*(may(*each) for each in asked))
    return tuple((kind, verb) for (kind, verb, _), yes in zip(asked, allowed, strict=True) if not yes)


async def _homeless(connection: KubernetesClient, key: Key) -> api.ApiError | None:
    """What is said of an object whose namespace is not there; None where it is, or where we may not know."""
    try:
        await connection.get(f"/api/v1/namespaces/{key.namespace}")
    except api.NotFound as error:
        return error
    except api.ApiError:
        return None
    return None


async def _tried(connection: KubernetesClient, key: Key, value: Mapping[str, Any]) -> api.ApiError | None:
    """What the server says to a dry run of the write; None for yes. Nodes are only asked for: Kubernetes makes them."""
    try:
        if key.kind == "Node":
            await connection.get(native_path(key))
        else:
            await connection.apply(native_path(key), value, field_manager=FIELD_MANAGER, dry_run=True)
    except api.ApiError as error:
        return error
    return None


async def _annotations(connection: KubernetesClient, key: Key) -> Mapping[str, str]:
    """Those of an object as it is; none where it is not there."""
    try:
        found = await connection.get(native_path(key))
    except api.ApiError:
        return {}
    return (found.get("metadata") or {}).get("annotations") or {}


async def _reconciled(connection: KubernetesClient, versions: frozenset[str]) -> Mapping[str, str]:
    """Mapping[object, set]: what a reconciler owns here; empty where none has run or we may not see its ledger."""
    from muslin.datastore.kubernetes.own_kinds import OWN_KINDS  # noqa: PLC0415 - data of one line

    if OWN_KINDS[LEDGER][0] not in versions:
        return {}
    try:
        ledger = await Ledger.load(KubernetesDatastore(connection, group=GROUP), "pulumi-looks")
    except MuslinError:
        return {}
    return {spoken(key): name for key, name in ledger.others.items()}
