"""Where an object is in etcd and what its key and JSON there are: `muslin.conversion.etcd` with the store's metadata.

Pure. Names of some kinds do not tell the key for certain; what to ask for then is decided here, the driver asks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from muslin.conversion.etcd import from_etcd, to_etcd
from muslin.conversion.etcd_keys import candidates, etcd_key, etcd_prefixes, handle_path, key_of
from muslin.conversion.kinds import ETCD_KINDS, IPAM_KINDS, NAMED_POLICIES
from muslin.conversion.policy_names import shown_name
from muslin.datastore.built_in import DEFAULT_PROFILE
from muslin.datastore.etcd.values import object_of, objects_of
from muslin.datastore.objects import UNREADABLE, parse, problems_of, text_of, text_of_new
from muslin.datastore.paging import Token
from muslin.datastore.protocol import Change, Entry, Json, NotSupported, Revision
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key

__all__ = [
    "PLAIN", "Kept", "Written", "after", "change_of", "entries_of", "entry_of",
    "in_key_order", "is_shortened", "key_at", "matching", "new_text", "path_of", "places", "ranges", "span",
    "spellings", "token_of", "updated_text", "written",
]  # fmt: skip

_OF_KUBERNETES: Final = frozenset({"KubernetesNetworkPolicy", "KubernetesClusterNetworkPolicy"})
"""Kinds that only a Kubernetes API has: etcd holds none, as with Calico, where they are stored as NetworkPolicy."""

PLAIN: Final = frozenset(ETCD_KINDS) - IPAM_KINDS - NAMED_POLICIES
"""Kinds that are kept as they are, under a key that their name tells."""

_RESOURCES: Final = "/calico/resources/v3/projectcalico.org/"

_UNDER: Final = {_RESOURCES + stored.plural: stored.kind for stored in ETCD_KINDS.values() if not stored.namespaced}
_GLOBAL: Final = {kind: path for path, kind in _UNDER.items() if kind in PLAIN}
_WITHIN: Final = {_RESOURCES + stored.plural: stored.kind for stored in ETCD_KINDS.values() if stored.namespaced}
"""Mapping[beginning of a key, kind], without and with a namespace after it."""

_DELETED: Final = 1
"""`rpc.Event.DELETE`, for who does without gRPC."""


class Kept(NamedTuple):
    """As much of an `rpc.KeyValue` as an object needs."""

    key: bytes
    value: bytes
    mod_revision: int


Written: TypeAlias = tuple[bytes, int, Any, Any]
"""What is kept of an object that was read or written, so that an update need not read it first.

Its key in etcd, modification revision, uid and creationTimestamp. A bare tuple: the collector of garbage leaves those
of plain values alone, and there are many.
"""


def places(key: Key) -> tuple[str, ...]:
    """Where it may be. Where the name does not tell, the place it has if its name says all (see `spellings`)."""
    if (plain := _plain_path(key)) is not None:
        return (plain,)
    kind, name, namespace = key
    if kind in _OF_KUBERNETES:
        return ()
    try:
        if not name.isascii() or not (namespace or "").isascii():
            f"{namespace}{name}".encode()  # what is no text is no key
        if kind in PLAIN:
            return (etcd_key(key, {}),)
        found = candidates(key)
    except ValueError:
        return ()
    if found is None:
        return (handle_path(key.name),) if key.kind == "IPAMHandle" else ()
    return found


def _plain_path(key: Key) -> str | None:
    """As `etcd_key` for what is nearly all there is, in a third of the time; None where that must be asked."""
    kind, name, namespace = key
    before = _GLOBAL.get(kind)
    if before is None or namespace is not None or not name or not name.isascii() or "%" in name or "/" in name:
        return None
    return f"{before}/{name}"


def is_shortened(key: Key) -> bool:
    """Whether only a search through all of its kind finds it."""
    try:
        return candidates(key) is None and key.kind != "IPAMHandle"
    except ValueError:
        return False


def spellings(key: Key) -> tuple[str, ...]:
    """Beginnings of all other keys that a handle of this name may have: a handle's name is its lower case.

    One for each letter: the key as far as it is equal, then that letter in upper case. What follows is compared.
    """
    if key.kind != "IPAMHandle":
        return ()
    path = handle_path(key.name)
    start = len(path) - len(key.name)
    return (*(path[:i] + path[i].upper() for i in range(start, len(path)) if path[i] != path[i].upper()), path + "\r")


def path_of(key: Key, value: Json) -> str:
    """Where to write a new object. Raises `BadInput`, and `NotSupported` for what etcd does not keep."""
    if key.kind in _OF_KUBERNETES:
        raise NotSupported("Create", key, "create a NetworkPolicy or GlobalNetworkPolicy, which agents treat alike")
    try:
        path = _plain_path(key) or etcd_key(key, value)
    except ValueError as error:
        raise BadInput(Problem(f"the object has no key in etcd: {error}", str(key), "give what is missing")) from None
    if key.kind in IPAM_KINDS and key_of(path) != key:
        what = f"the object's spec is that of {key_of(path)}"
        raise BadInput(Problem(what, f"{key}  spec", "make the name and the spec equal"))
    return path


def new_text(key: Key, value: Json, *, uid: str, now: datetime) -> bytes:
    """What to write for a new object. Raises `BadInput`."""
    return _stored(key, text_of_new(key, value, uid=uid, now=now))


def updated_text(key: Key, value: Json, known: Written) -> bytes:
    """What to write for an object that keeps its identity. Raises `BadInput`."""
    given = {"uid": known[2], "creationTimestamp": known[3]}
    return _stored(key, text_of(key, value, {name: part for name, part in given.items() if part is not None}))


def entry_of(kv: Any) -> tuple[Entry, Written] | None:
    """The object that a key and value of etcd are, `rpc.KeyValue` or `Kept`; None if it is none of ours."""
    octets = kv.key
    path = octets.decode(errors="replace")
    key = _plain_key(path) or key_of(path)
    if key is None or key == DEFAULT_PROFILE:
        return None
    value = object_of(kv.value) if key.kind in PLAIN else None
    return _converted(key, path, kv) if value is None else _entry(key, octets, value, kv.mod_revision)


def _converted(key: Key, path: str, kv: Any) -> tuple[Entry, Written]:
    """As `entry_of` for what is known to be this object and is kept in another form, or is none."""
    text = kv.value
    try:
        shown, value = from_etcd(path, _json(text)) or (key, {})
    except Exception:  # noqa: BLE001 - whatever somebody wrote there must not hide the others
        shown, value = from_etcd(path, text.decode(errors="replace")) or (key, {})
    if shown != key and key.kind in NAMED_POLICIES and path in places(shown):
        key = shown  # an old release wrote it under another name
    return _entry(key, kv.key, value, kv.mod_revision)


def _entry(key: Key, path: bytes, value: dict[str, Any], at: int) -> tuple[Entry, Written]:
    """An object that is kept as it is; the value becomes the entry's."""
    text, metadata, uid, created = str(at), value.get("metadata"), None, None
    if type(metadata) is dict:
        metadata["resourceVersion"] = text
        uid, created = metadata.get("uid"), metadata.get("creationTimestamp")
    problems = problems_of(key, value) if UNREADABLE in value else ()
    return Entry(key, value, Revision(text), problems), (path, at, uid, created)


def change_of(event: Any, kinds: Collection[str]) -> Change | None:
    """What an `rpc.Event` is to a watch of these kinds, None for what is not of them."""
    kv = event.kv
    if event.type == _DELETED:
        gone = key_at(kv, event.prev_kv)
        return None if gone is None or gone.kind not in kinds else Change(gone, None, Revision(str(kv.mod_revision)))
    path = kv.key.decode(errors="replace")
    key = _plain_key(path) or key_of(path)
    if key is None or key.kind not in kinds or key == DEFAULT_PROFILE:
        return None
    value = object_of(kv.value) if key.kind in PLAIN else None
    there = _converted(key, path, kv) if value is None else _entry(key, kv.key, value, kv.mod_revision)
    return Change(*there[0])


def written(key: Key, path: bytes, text: bytes, revision: int) -> tuple[Entry, Written]:
    """The object of this key that was written so."""
    if key.kind not in PLAIN:
        there = entry_of(Kept(path, text, revision))
        return there or (Entry(key, {}, Revision(str(revision))), (path, revision, None, None))
    value = object_of(text)
    if value is None:
        return _converted(key, path.decode(), Kept(path, text, revision))
    return _entry(key, path, value, revision)


def _plain_key(path: str) -> Key | None:
    """As `key_of` for what is nearly all there is, in a fifth of the time; None where that must be asked."""
    before, _, name = path.rpartition("/")
    kind, namespace = _UNDER.get(before), None
    if kind is None:
        before, _, namespace = before.rpartition("/")
        kind = _WITHIN.get(before)
    if kind is None or not name or namespace == "" or "%" in path:
        return None
    return Key(kind, name, namespace)


def entries_of(kvs: Sequence[Any], kind: str) -> list[tuple[Entry, Written]]:
    """As `entry_of` for a list of a kind: what is none of ours is left out."""
    if kind not in PLAIN:
        return [there for kv in kvs if (there := entry_of(kv)) is not None and there[0].key.kind == kind]
    found = []
    for kv, value in zip(kvs, objects_of([kv.value for kv in kvs]), strict=True):
        octets = kv.key
        path = octets.decode(errors="replace")
        key = _plain_key(path) or key_of(path)
        if key is None or key == DEFAULT_PROFILE:
            continue
        found.append(_converted(key, path, kv) if value is None else _entry(key, octets, value, kv.mod_revision))
    return found


def key_at(kv: Any, former: Any) -> Key | None:
    """The object that is gone from this key; `former` is what was there, where that is still known."""
    if former is not None and former.key and (was := entry_of(former)) is not None:
        return was[0].key
    key = key_of(kv.key.decode(errors="replace"))
    if key is None or key == DEFAULT_PROFILE:
        return None
    return key._replace(name=shown_name(key.name, "")) if key.kind in NAMED_POLICIES else key


def ranges(kind: str, namespace: str | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """First key, and first key after all, of a kind or a namespace; none for a kind that etcd does not keep."""
    if kind in _OF_KUBERNETES:
        return ()
    try:
        return tuple(_range(prefix) for prefix in etcd_prefixes(kind, namespace))
    except ValueError:
        return ()


def span(kinds: Collection[str]) -> tuple[bytes, bytes]:
    """The smallest range with all keys of these kinds: one watch, so that their order is etcd's."""
    found = [each for kind in kinds for each in ranges(kind)] or [(b"/calico/", b"/calico/\0")]
    return min(first for first, _ in found), max(last for _, last in found)


def in_key_order(kind: str, namespace: str | None) -> bool:
    """Whether etcd's order of keys is that of namespace and name: `a-b/x` is before `a/x` there."""
    if kind == "IPAMConfiguration":
        return True
    as_resource = ETCD_KINDS.get(kind)
    return as_resource is not None and (namespace is not None or not as_resource.namespaced)


def after(kind: str, token: Token) -> bytes:
    """Where a list in etcd's order goes on. Raises `BadInput` for a token that no list of this kind gave."""
    try:
        return etcd_key(Key(kind, token.name, token.namespace or None), {}).encode() + b"\0"
    except ValueError:
        raise BadInput(
            Problem(f"this is no continuation of a list of {kind}", repr(token.name[:80]), "begin the list again")
        ) from None


def token_of(path: bytes, at: int) -> Token | None:
    """Where a list that has come to this key goes on; None if it is none of an object."""
    key = key_of(path.decode(errors="replace"))
    return None if key is None else Token(at, key.namespace or "", key.name)


def matching(key: Key, paths: Collection[bytes]) -> list[bytes]:
    """Those keys that are an object of this name."""
    return [path for path in paths if key_of(path.decode(errors="replace")) == key]


def _range(prefix: str) -> tuple[bytes, bytes]:
    first = prefix.encode()
    return first, first[:-1] + bytes((first[-1] + 1,))


def _stored(key: Key, text: str) -> bytes:
    if key.kind not in IPAM_KINDS and key.kind not in NAMED_POLICIES:
        return text.encode()
    return json.dumps(to_etcd(key, parse(key, text)), separators=(",", ":")).encode()


def _json(text: bytes) -> Any:
    """JSON as Python's; what is none as text, which no object is."""
    if not text:
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode(errors="replace")
