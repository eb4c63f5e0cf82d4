"""Where etcd keeps an object, and which object a key of etcd is.

An affinity's and a handle's key hold what the object's name does not tell for certain: use the value where there is
one, else try `candidates`. Source: calico.md section 1b.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from muslin.conversion.kinds import ETCD_KINDS, IPAM_KINDS, NAMED_POLICIES, kind_of_plural
from muslin.conversion.policy_names import names_of_policy
from muslin.conversion.reading import Json, as_mapping, as_text
from muslin.ipam.names import affinity_name, block_name, handle_name
from muslin.net import Prefix
from muslin.resources.keys import Key

__all__ = [
    "READY_FLAG", "affinity_path", "block_path", "candidates", "etcd_key", "etcd_prefixes", "handle_path",
    "host_endpoint_path", "ipam_host_path", "key_of", "workload_endpoint_path",
]  # fmt: skip

_RESOURCES: Final = "/calico/resources/v3/projectcalico.org/"
_IPAM: Final = "/calico/ipam/v2/"
_BLOCKS, _HANDLES, _CONFIG = _IPAM + "assignment/", _IPAM + "handle/", _IPAM + "config"
_OWNERS: Final = ("host", "virtual")
_OTHER: Final = "/muslin/resources/"
"""Kinds that Calico does not know, such as those of the reconciler; its tools must not stumble over them."""
_V1_HOSTS: Final = "/calico/v1/host/"

READY_FLAG: Final = "/calico/v1/Ready"
"""Key of the flag that older clients ask before they work."""


def etcd_key(key: Key, value: Json) -> str:
    """Where an object is kept.

    Raises:
        ValueError: the value does not say what its key needs (`spec.cidr`, `spec.node`, `spec.handleID`).
    """
    if key.kind not in IPAM_KINDS:
        return _resource(key)
    spec = as_mapping(value.get("spec"))
    match key.kind:
        case "IPAMBlock":
            return block_path(_prefix(spec))
        case "BlockAffinity":
            return affinity_path(as_text(spec.get("type")) or "host", as_text(spec.get("node")), _prefix(spec))
        case "IPAMHandle":
            if not as_text(spec.get("handleID")):
                raise ValueError("spec.handleID is missing")
            return handle_path(spec["handleID"])
    return _CONFIG


def candidates(key: Key) -> tuple[str, ...] | None:
    """Every place where an object of this name may be; None where the name does not tell, so that one must search.

    To search is to go through `etcd_prefixes`, and to compare `key_of` each key.
    """
    match key.kind:
        case "IPAMConfiguration":
            return (_CONFIG,) if key.name == "default" else ()
        case "IPAMBlock":
            prefix = _prefix_of_name(key.name)
            return () if prefix is None else (block_path(prefix),)
        case "IPAMHandle":
            return None
        case "BlockAffinity":
            if len(key.name.encode()) >= _SHORTENED:
                return None
            owners = [(host, prefix) for host, prefix in _owners(key.name) if affinity_name(host, prefix) == key.name]
            return tuple(affinity_path(kind, host, prefix) for host, prefix in owners for kind in _OWNERS)
        case kind if kind in NAMED_POLICIES:
            return tuple(_resource(key._replace(name=name)) for name in names_of_policy(key.name))
    return (_resource(key),)


def etcd_prefixes(kind: str, namespace: str | None = None) -> tuple[str, ...]:
    """Beginnings of all keys of a kind, or of a namespace's."""
    match kind:
        case "IPAMConfiguration":
            return (_CONFIG,)
        case "IPAMBlock":
            return (_BLOCKS,)
        case "IPAMHandle":
            return (_HANDLES,)
        case "BlockAffinity":
            return tuple(f"{_IPAM}{owner}/" for owner in _OWNERS)
    stored = ETCD_KINDS.get(kind)
    if stored is None:
        within = f"namespaces/{_escaped(namespace)}/" if namespace else ""
        return (f"{_OTHER}{_escaped(kind)}/{within}",)
    within = f"{_escaped(namespace)}/" if stored.namespaced and namespace else ""
    return (f"{_RESOURCES}{stored.plural}/{within}",)


def key_of(path: str) -> Key | None:
    """The object that a key of etcd is, as far as the key tells; None if it is none that we know.

    A policy stored by an old release has another name than this (`shown_name`): `muslin.conversion.etcd.from_etcd`
    tells it.
    """
    if path.startswith(_RESOURCES):
        plural, *rest = path.removeprefix(_RESOURCES).split("/")
        stored = kind_of_plural(plural)
        if stored is None or len(rest) != (2 if stored.namespaced else 1) or not all(rest):
            return None
        return Key(stored.kind, _unescaped(rest[-1]), _unescaped(rest[0]) if stored.namespaced else None)
    if path.startswith(_OTHER):
        kind, *rest = (_unescaped(part) for part in path.removeprefix(_OTHER).split("/"))
        match rest:
            case ["cluster", name] if kind and name:
                return Key(kind, name)
            case ["namespaces", namespace, name] if kind and namespace and name:
                return Key(kind, name, namespace)
        return None
    if path == _CONFIG:
        return Key("IPAMConfiguration", "default")
    if path.startswith(_HANDLES):
        name = path.removeprefix(_HANDLES)
        return Key("IPAMHandle", handle_name(name)) if name else None
    if path.startswith(_BLOCKS):
        prefix = _prefix_at(path.removeprefix(_BLOCKS))
        return None if prefix is None else Key("IPAMBlock", block_name(prefix))
    owner = owner_of(path)
    return None if owner is None else Key("BlockAffinity", affinity_name(owner[1], owner[2]))


def owner_of(path: str) -> tuple[str, str, Prefix] | None:
    """Type and name of the owner, and the block, of an affinity's key; None for any other key."""
    for kind in _OWNERS:
        if path.startswith(f"{_IPAM}{kind}/"):
            host, _, rest = path.removeprefix(f"{_IPAM}{kind}/").partition("/")
            prefix = _prefix_at(rest)
            return (kind, host, prefix) if host and prefix is not None else None
    return None


def block_path(prefix: Prefix) -> str:
    """Key of a block."""
    return f"{_BLOCKS}{_at(prefix)}"


def affinity_path(kind: str, host: str, prefix: Prefix) -> str:
    """Key of a claim on a block; `kind` is `host` or `virtual`. Raises ValueError."""
    if kind not in _OWNERS or not host or "/" in host:
        raise ValueError(f"{kind} {host!r} cannot own a block")
    return f"{_IPAM}{kind}/{host}/{_at(prefix)}"


def handle_path(handle: str) -> str:
    """Key of a handle, as it is written: nothing in it is changed."""
    return _HANDLES + handle


def ipam_host_path(host: str) -> str:
    """Key that says that a host takes part in address management."""
    return f"{_IPAM}host/{host}"


def host_endpoint_path(host: str, endpoint: str) -> str:
    """Key of a host endpoint as agents of a cluster exchange it."""
    return f"{_V1_HOSTS}{host}/endpoint/{_escaped(endpoint)}"


def workload_endpoint_path(host: str, orchestrator: str, workload: str, endpoint: str) -> str:
    """Key of a workload endpoint as agents of a cluster exchange it."""
    parts = (_escaped(orchestrator), _escaped(workload))
    return f"{_V1_HOSTS}{host}/workload/{'/'.join(parts)}/endpoint/{_escaped(endpoint)}"


_SHORTENED: Final = 252
"""A name of so many octets may be a shortened one, whose host nobody can tell."""


def _resource(key: Key) -> str:
    stored = ETCD_KINDS.get(key.kind)
    if stored is None:
        within = ["namespaces", _escaped(key.namespace)] if key.namespace else ["cluster"]
        return _OTHER + "/".join([_escaped(key.kind), *within, _escaped(key.name)])
    if stored.namespaced != bool(key.namespace) or not key.name:
        raise ValueError(f"{key} needs a name{' and a namespace' if stored.namespaced else ', and no namespace'}")
    within = [_escaped(key.namespace)] if stored.namespaced else []
    return _RESOURCES + "/".join([stored.plural, *within, _escaped(key.name)])


def _escaped(name: str | None) -> str:
    return (name or "").replace("%", "%25").replace("/", "%2f")


def _unescaped(name: str) -> str:
    return name.replace("%2f", "/").replace("%25", "%")


def _prefix(spec: Json) -> Prefix:
    return ip_network(as_text(spec.get("cidr")))


def _at(prefix: Prefix) -> str:
    return f"ipv{prefix.version}/block/{str(prefix).replace('/', '-')}"


def _prefix_at(rest: str) -> Prefix | None:
    """The block at the end of a key, `ipv4/block/192.0.2.0-26`; None where there is none."""
    version, word, text = (*rest.split("/"), "", "", "")[:3] if rest.count("/") == 2 else ("", "", "")
    try:
        prefix = ip_network(text.replace("-", "/"))
    except ValueError:
        return None
    return prefix if word == "block" and version == f"ipv{prefix.version}" and "-" in text else None


def _prefix_of_name(name: str) -> Prefix | None:
    """The block of this name: four numbers and a length, else IPv6."""
    body, dash, length = name.rpartition("-")
    numbers = body.split("-")
    dotted = len(numbers) == 4 and all(each.isdigit() for each in numbers)
    try:
        prefix = ip_network(f"{body.replace('-', '.' if dotted else ':')}/{length}") if dash else None
    except ValueError:
        return None
    return prefix if prefix is not None and block_name(prefix) == name else None


def _owners(name: str) -> Iterator[tuple[str, Prefix]]:
    """Every way to read an affinity's name as host and block."""
    for position, character in enumerate(name):
        if character == "-" and position:
            prefix = _prefix_of_name(name[position + 1 :])
            if prefix is not None:
                yield name[:position], prefix
