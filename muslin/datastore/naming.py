"""A datastore named by one word, where a command needs two: a file, `embedded:FILE`, `etcd:URL,URL`, `kubernetes:...`.

A file is known by what is in it: an embedded datastore, a CalicoAPIConfig, a kubeconfig. What a word leaves open
(certificates, a password, rates) is taken from the same environment variables as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from muslin.datastore.configuration import Asked, settings_of
from muslin.datastore.settings import DatastoreSettings, EmbeddedSettings
from muslin.errors import BadInput, Problem

__all__ = ["settings_named"]

_SQLITE: Final = b"SQLite format 3\0"
_LARGEST_FILE: Final = 1 << 20
_FIX: Final = (
    "give the file of an embedded datastore, a CalicoAPIConfig, a kubeconfig, etcd:https://192.0.2.10:2379, "
    "kubernetes, or kubernetes:KUBECONFIG@CONTEXT"
)


def settings_named(word: str, environment: Mapping[str, str], where: str) -> DatastoreSettings:
    """The datastore that one word names.

    Args:
        word: what somebody typed.
        environment: of the process; only what the word leaves open counts.
        where: the option, for messages.

    Raises:
        BadInput: it names none, or what it names can't be right.
    """
    kind, colon, rest = word.partition(":")
    if kind == "embedded" and colon and rest:
        return EmbeddedSettings(rest)
    if kind == "etcd" and colon and rest:
        return settings_of(Asked(), {**_only(environment, "ETCD_"), "DATASTORE_TYPE": "etcdv3", "ETCD_ENDPOINTS": rest},
                           default_file="")  # fmt: skip
    if kind == "kubernetes" and (rest or not colon):
        return _kubernetes(rest, environment)
    if "://" in word:
        what = f"{word} may be an etcd or a Kubernetes API"
        raise BadInput(Problem(what, where, f"say which: etcd:{word}, or a kubeconfig as kubernetes:KUBECONFIG"))
    return _of_file(word, environment, where)


def _only(environment: Mapping[str, str], *beginnings: str) -> dict[str, str]:
    """Variables of one kind of store, and not those that say where it is."""
    return {
        name: text
        for name, text in environment.items()
        if name.removeprefix("CALICO_").startswith((*beginnings, "HOME", "KUBERNETES_SERVICE_"))
        and name.removeprefix("CALICO_") not in ("ETCD_ENDPOINTS", "ETCD_DISCOVERY_SRV", "K8S_API_ENDPOINT")
    }


def _kubernetes(place: str, environment: Mapping[str, str]) -> DatastoreSettings:
    kept = _only(environment, "K8S_CLIENT_", "API_GROUP", "USE_POD_CIDR") | {"DATASTORE_TYPE": "kubernetes"}
    if not place:
        kept |= {name: environment[name] for name in ("KUBECONFIG",) if environment.get(name)}
        return settings_of(Asked(), kept, default_file="")
    file, at, context = (place, "", "") if Path(place).is_file() else place.rpartition("@")
    if not at:
        file = place
    if file or environment.get("KUBECONFIG"):
        kept["KUBECONFIG"] = file or environment["KUBECONFIG"]
    return settings_of(Asked(context=context or None), kept, default_file="")


def _of_file(word: str, environment: Mapping[str, str], where: str) -> DatastoreSettings:
    path = Path(word)
    try:
        with path.open("rb") as opened:
            beginning = opened.read(_LARGEST_FILE)
    except FileNotFoundError:
        if path.suffix in (".db", ".sqlite", ".sqlite3"):
            return EmbeddedSettings(word)  # whether it may be made, the opener says
        raise BadInput(Problem(f"{word} names no datastore, and no file", where, _FIX)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(Problem(f"{word} can't be read: {reason}", where, _FIX)) from error
    if beginning.startswith(_SQLITE):
        return EmbeddedSettings(word)
    if b"CalicoAPIConfig" in beginning:
        return settings_of(Asked(config=word), _only(environment, "HOME"))
    if b"clusters" in beginning and b"Config" in beginning:
        return _kubernetes(word, environment)
    raise BadInput(Problem(f"{word} is neither a datastore, nor a CalicoAPIConfig, nor a kubeconfig", where, _FIX))
