"""Asks the cluster, at preview, what speaks against an installation of upstream Calico: `looking_upstream_rules`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import pulumi

from muslin.errors import BadInput
from muslin.kubernetes import errors as api
from muslin.kubernetes.access import Access
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.pace import Limits
from muslin.pulumi.arguments import ReferenceNetworkArgs
from muslin.pulumi.asking import OWNED, PATCHED, Wanted, annotations_of, ask_each, denied, homeless, tried
from muslin.pulumi.looking import refuse, seen_by
from muslin.pulumi.looking_upstream_rules import OPERATORS, Installing, Running, Upstream, findings
from muslin.resources.keys import Key

__all__ = ["look_at_upstream"]

_INSTALLATION: Final = f"/apis/{OPERATORS}/installations/default"
_AGENTS: Final = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"
_RELEASE: Final = re.compile(r"v?(\d+)\.(\d+)")


def look_at_upstream(
    installing: Installing, args: ReferenceNetworkArgs, opts: pulumi.ResourceOptions | None = None
) -> None:
    """Refuse what cannot be installed so, before anything is registered; where not: as `looking.look`.

    Raises:
        Refused: with every problem.
    """
    seen = seen_by(args, opts, lambda access: _see(access, installing, args))
    if seen is not None:
        refuse(*findings(seen, installing, args), opts)


async def _see(access: Access, installing: Installing, args: ReferenceNetworkArgs) -> Upstream:
    client = args.client
    connection = await KubernetesClient.connect(access, limits=Limits(qps=client.qps, burst=client.burst))
    try:
        try:
            versions = await connection.group_versions()
        except api.Unauthorized as error:
            raise BadInput(error.problems) from error
        paths = await _paths(connection, installing.objects, versions)
        refused = await denied(connection, _wanted(installing, paths, versions))
        operated, running = await _installed(connection, installing, versions)
        seen = Upstream(access.server, refused, frozenset(paths), operated=operated, running=running)
        if refused:
            return seen
        answers = await ask_each(paths, lambda key: _tried(connection, installing, key, paths[key].path))
        if installing.secret is not None:
            answers[installing.secret] = await homeless(connection, installing.secret)
        noted = await ask_each(paths, lambda key: annotations_of(connection, paths[key].path))
        return Upstream(access.server, refused, frozenset(paths), answers, noted, operated, running)
    finally:
        await connection.close()


class _Place:
    """Where the API serves an object."""

    def __init__(self, key: Key, version: str, plural: str) -> None:
        root = "/apis" if "/" in version else "/api"
        within = f"/namespaces/{key.namespace}" if key.namespace else ""
        self.group = version.partition("/")[0] if "/" in version else ""
        self.plural = plural
        self.path = f"{root}/{version}{within}/{plural}/{key.name}"


async def _paths(
    connection: KubernetesClient, objects: Mapping[Key, Mapping[str, Any]], versions: Collection[str]
) -> dict[Key, _Place]:
    """Mapping[object, its place]; without those of a kind that is not served."""
    served = {
        version: {each["kind"]: plural for plural, each in (await connection.resources(version)).items()
                  if "/" not in plural}
        for version in {str(each["apiVersion"]) for each in objects.values()}
        if version in versions
    }  # fmt: skip
    return {
        key: _Place(key, version, served[version][key.kind])
        for key, each in objects.items()
        if key.kind in served.get(version := str(each["apiVersion"]), {})
    }


def _wanted(installing: Installing, paths: Mapping[Key, _Place], versions: Collection[str]) -> Iterator[Wanted]:
    for key, place in paths.items():
        yield Wanted(
            key.kind, place.group, place.plural, key.namespace, PATCHED if key in installing.patched else OWNED
        )
    if installing.secret is not None:
        yield Wanted("Secret", "", "secrets", installing.secret.namespace, OWNED)
    if OPERATORS in versions:
        yield Wanted("Installation", OPERATORS.partition("/")[0], "installations", None, ("get",))


async def _tried(connection: KubernetesClient, installing: Installing, key: Key, path: str) -> api.ApiError | None:
    """As `tried`. What is patched has to be there: a patch would make half an object of it."""
    patched = key in installing.patched
    if patched and (absent := await tried(connection, path, None)) is not None:
        return absent
    return await tried(connection, path, installing.objects[key], force=patched)


async def _installed(
    connection: KubernetesClient, installing: Installing, versions: Collection[str]
) -> tuple[bool, Running | None]:
    """Whether the operator was told to install Calico, and which Calico runs as the arguments say: None if not told."""
    told = await _found(connection, _INSTALLATION) if OPERATORS in versions else None
    if installing.by_operator:
        status = (told or {}).get("status") or {}
        if status.get("variant", "Calico") != "Calico":
            return told is not None, None
        return told is not None, _running("Installation/default", [str(status.get("calicoVersion", ""))])
    agents = await _found(connection, _AGENTS) or {}
    pod = ((agents.get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [str(each.get("image", "")) for each in pod.get("containers") or () if each.get("name") == "calico-node"]
    tags = [image.rpartition("/")[2].partition("@")[0].partition(":")[2] for image in images]
    return told is not None, _running("DaemonSet/kube-system/calico-node", tags)


async def _found(connection: KubernetesClient, path: str) -> dict[str, Any] | None:
    try:
        return await connection.get(path)
    except api.ApiError:
        return None


def _running(where: str, releases: Iterable[str]) -> Running | None:
    for release in releases:
        if numbers := _RELEASE.match(release):
            return Running(where, release, (int(numbers[1]), int(numbers[2])))
    return None
