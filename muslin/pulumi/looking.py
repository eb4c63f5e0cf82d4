"""Asks the cluster, at preview, for everything that would make a write fail later: the shell of `looking_rules`.

Each object is applied in a dry run, as the manager that Pulumi will be: Kubernetes then answers what is invalid and
which field another manager owns. Pulumi's own preview hides the second, because it forces where it has no state yet.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import pulumi

from muslin.conversion.kinds import CRD_KINDS, native_path
from muslin.datastore.kubernetes.own_kinds import OWN_KINDS
from muslin.datastore.kubernetes.store import KubernetesDatastore
from muslin.errors import BadInput, MuslinError, Problem
from muslin.kubernetes import errors as api
from muslin.kubernetes.access import Access
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.finding import find_access
from muslin.kubernetes.pace import Limits
from muslin.pulumi.arguments import Client, ReferenceNetworkArgs
from muslin.pulumi.asking import OWNED, PATCHED, Wanted, annotations_of, ask_each, denied, entry_of, homeless, tried
from muslin.pulumi.looking_rules import GROUP, Objects, Seen, doubts, findings
from muslin.pulumi.naming import spoken
from muslin.pulumi.ordering import turns_mesh_off
from muslin.pulumi.refusals import Refused
from muslin.pulumi.writing import is_shared
from muslin.resources.keys import Key
from reconciler.ledger import KIND as LEDGER
from reconciler.ledger import Ledger

__all__ = ["access_of", "beside", "look", "refuse", "secrets_named", "see", "seen_by"]

_RBAC: Final = "rbac.authorization.k8s.io"
_OF_KUBERNETES: Final = {
    "Node": ("", "nodes"), "Secret": ("", "secrets"), "Role": (_RBAC, "roles"), "RoleBinding": (_RBAC, "rolebindings"),
}  # fmt: skip
"""Mapping[kind, (group, plural)] of what is not Calico's."""
_WRITTEN: Final[WeakKeyDictionary[pulumi.Resource, set[tuple[str, Key]]]] = WeakKeyDictionary()
"""Mapping[a program's stack, (server, object) of what its components write]: to find what two of them do."""
_LONGEST_PATH: Final = 255
"""Characters of what can be a path; longer, it is credentials that came in an unknown form, which are not shown."""
_Seen = TypeVar("_Seen")


def look(objects: Objects, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
    """Refuse what cannot be written, before anything is.

    Not where the program says no, where it gives a provider of its own without saying which cluster that is, and not
    where the cluster is yet to be made. With `depends_on`, what is missing (definitions, namespaces) is a warning: the
    program may be about to bring it.

    Raises:
        Refused: with every problem.
    """
    seen = seen_by(args, opts, lambda access: see(access, objects, args))
    if seen is None:
        return
    for problem in doubts(seen):
        pulumi.log.warn(str(problem))
    wrong, missing = findings(seen, objects, args)
    refuse([*wrong, *_twice(seen.server, objects)], missing, opts)


def _twice(server: str, objects: Objects) -> Iterator[Problem]:
    """Objects that another component of this program writes to the same cluster, as the same manager."""
    program = pulumi.runtime.get_root_resource()
    if program is None:
        return
    written = _WRITTEN.setdefault(program, set())
    for key in objects:
        if (server, key) in written:
            what = f"another component of this program writes {spoken(key)} already: one writer at a time"
            yield Problem(what, spoken(key), "leave it to one of the two")
        written.add((server, key))


def seen_by(
    args: ReferenceNetworkArgs,
    opts: pulumi.ResourceOptions | None,
    see: Callable[[Access], Coroutine[Any, Any, _Seen]],
) -> _Seen | None:
    """What is seen of the cluster that will be written to; None where it is not looked at: see `look`.

    Raises:
        Refused: it can't be reached, or not by us.
    """
    client = args.client
    if not args.look_first or (client.kubeconfig is None and _has_provider(opts)):
        return None
    if client.kubeconfig is not None and not isinstance(client.kubeconfig, str):
        pulumi.log.info(
            "the cluster is not looked at beforehand: its kubeconfig is not known before the program has run"
        )
        return None
    try:
        return _apart(see(access_of(client)))
    except MuslinError as error:
        raise Refused(error.problems) from None


def refuse(wrong: Iterable[Problem], missing: Iterable[Problem], opts: pulumi.ResourceOptions | None) -> None:
    """Raise Refused with all of it; with `depends_on`, what is missing is a warning each."""
    brought = opts is not None and bool(opts.depends_on)
    for problem in missing if brought else ():
        pulumi.log.warn(str(problem))
    refused = [*wrong] if brought else [*missing, *wrong]
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


def secrets_named(objects: Objects, args: ReferenceNetworkArgs) -> Mapping[tuple[Key, str], tuple[Key, ...]]:
    """Mapping[(Secret, entry), peers that name it]: passwords that somebody else has to bring."""
    found: dict[tuple[Key, str], tuple[Key, ...]] = {}
    for key, value in objects.items():
        password = ((value.get("spec") or {}).get("password") or {}) if key.kind == "BGPPeer" else {}
        named = password.get("secretKeyRef")
        if named and named["name"] not in args.passwords:
            entry = Key("Secret", named["name"], args.password_namespace), named["key"]
            found[entry] = (*found.get(entry, ()), key)
    return found


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
    if given and not _is_file(given):
        shown = f"kubeconfig: {given}" if given.isprintable() and len(given) <= _LONGEST_PATH else "kubeconfig"
        fix = "give one or the other; for several files leave it out and set KUBECONFIG"
        raise BadInput(Problem("this is neither a kubeconfig's text nor the path of one", shown, fix))
    usual = Path("~/.kube/config").expanduser()
    path = given or os.environ.get("KUBECONFIG") or (str(usual) if usual.is_file() else None)
    if path is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        fix = "set KUBECONFIG, or kubeconfig in the stack's configuration; lookFirst: false goes without asking"
        raise BadInput(Problem("no kubeconfig says which cluster is meant", "KUBECONFIG", fix))
    return find_access(kubeconfig=path, context=client.context)


def _is_file(path: str) -> bool:
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError):
        return False


def _apart(work: Coroutine[Any, Any, _Seen]) -> _Seen:
    """Run it on a loop of its own: the program runs on Pulumi's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def see(access: Access, objects: Objects, args: ReferenceNetworkArgs) -> Seen:
    """Everything that the rules ask about.

    Raises:
        BadInput: credentials that can't be right.
        MuslinError: the API does not answer, or not to us.
    """
    client, others, secrets = args.client, beside(objects, args), secrets_named(objects, args)
    connection = await KubernetesClient.connect(access, limits=Limits(qps=client.qps, burst=client.burst))
    try:
        try:
            versions = await connection.group_versions()
        except api.Unauthorized as error:
            raise BadInput(error.problems) from error
        if GROUP not in versions:
            return Seen(access.server, versions)
        served = {each["kind"] for each in (await connection.resources(GROUP)).values()}
        shared = {key for key in objects if is_shared(key, args)}
        refused = await denied(connection, _wanted((*objects, *others), shared, versions))
        usable = [key for key in objects if key.kind in served or key.kind == "Node"]
        answers = {} if refused else await ask_each(usable, lambda key: _tried(connection, key, objects[key]))
        answers |= await ask_each([key for key in others if key.namespace], lambda key: homeless(connection, key))
        there = {} if refused else await ask_each(usable, lambda key: annotations_of(connection, native_path(key)))
        found = await ask_each(secrets, lambda each: entry_of(connection, *each))
        entries = {each: (found[each], peers) for each, peers in secrets.items()}
        hidden = (LEDGER, "list") in refused
        reconciled = {} if hidden else await _reconciled(connection, versions)
        pools = await _pools(connection) if not refused and any(key.kind == "IPPool" for key in usable) else {}
        return Seen(
            access.server, versions, frozenset(served), refused, answers, reconciled, others, there, entries, pools
        )
    finally:
        await connection.close()


def _wanted(keys: Iterable[Key], shared: Collection[Key], versions: Collection[str]) -> Iterator[Wanted]:
    """The rights that writing these needs, and seeing what a reconciler writes."""
    for key in keys:
        group, plural = _OF_KUBERNETES.get(key.kind) or (GROUP.partition("/")[0], CRD_KINDS[key.kind].plural)
        # what is patched and not there would be made; nodes never are
        verbs = OWNED if key not in shared else PATCHED if key.kind == "Node" else ("create", *PATCHED)
        yield Wanted(key.kind, group, plural, key.namespace if key.kind in _OF_KUBERNETES else None, verbs)
    version, plural = OWN_KINDS[LEDGER]
    if version in versions:
        yield Wanted(LEDGER, version.partition("/")[0], plural, None, ("list",))


async def _tried(connection: KubernetesClient, key: Key, value: Mapping[str, Any]) -> api.ApiError | None:
    """As `tried`. Nodes are only asked for: Kubernetes makes them."""
    return await tried(connection, native_path(key), None if key.kind == "Node" else value)


async def _pools(connection: KubernetesClient) -> Mapping[str, str]:
    """Mapping[name, range] of all pools; none where ours are only patched and we may not list them."""
    try:
        found = await connection.get(f"/apis/{GROUP}/{CRD_KINDS['IPPool'].plural}")
    except api.ApiError:
        return {}
    return {each["metadata"]["name"]: str((each.get("spec") or {}).get("cidr")) for each in found.get("items") or ()}


async def _reconciled(connection: KubernetesClient, versions: Collection[str]) -> Mapping[str, str]:
    """Mapping[object, set]: what a reconciler owns here; empty where none has run.

    Raises Failed for a ledger that cannot be read.
    """
    if OWN_KINDS[LEDGER][0] not in versions:
        return {}
    ledger = await Ledger.load(KubernetesDatastore(connection, group=GROUP), "pulumi-looks")
    return {spoken(key): name for key, name in ledger.others.items()}
