"""Profiles of Kubernetes: what pods inherit from their namespace and from their service account.

Source: calico.md sections 1a and 2.14.
"""

from __future__ import annotations

from typing import Any, Final

from muslin.conversion.reading import API_VERSION, Converted, Json, as_text, as_texts, metadata_of, place
from muslin.conversion.uids import convert_uid
from muslin.errors import Problem

__all__ = [
    "DEFAULT_ALLOW", "default_allow", "join_revisions", "namespace_of_profile", "namespace_profile",
    "profile_from_namespace", "profile_from_service_account", "service_account_of_profile", "service_account_profile",
    "split_revision",
]  # fmt: skip

DEFAULT_ALLOW: Final = "projectcalico-default-allow"
"""Name of the profile that allows everything; every store has it, none keeps it, nobody may change it."""

_NAMESPACE, _SERVICE_ACCOUNT = "kns.", "ksa."
_NAMESPACE_LABEL, _SERVICE_ACCOUNT_LABEL = "pcns.", "pcsa."
_NAME_LABEL = "projectcalico.org/name"


def default_allow() -> dict[str, Any]:
    """The profile that allows everything."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Profile",
        "metadata": {"name": DEFAULT_ALLOW, "resourceVersion": "1"},
        "spec": {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]},
    }


def namespace_profile(namespace: str) -> str:
    """Name of a namespace's profile."""
    return _NAMESPACE + namespace


def service_account_profile(namespace: str, account: str) -> str:
    """Name of a service account's profile."""
    return f"{_SERVICE_ACCOUNT}{namespace or 'default'}.{account}"


def namespace_of_profile(name: str) -> str | None:
    """The namespace that a profile is made from, None if it is made from something else."""
    return name.removeprefix(_NAMESPACE) if name.startswith(_NAMESPACE) and name != _NAMESPACE else None


def service_account_of_profile(name: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a profile is made from, None if it is not made from one."""
    if not name.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, dot, account = name.removeprefix(_SERVICE_ACCOUNT).partition(".")
    return (namespace, account) if namespace and dot and account else None


def profile_from_namespace(namespace: Json) -> Converted:
    """The profile of a Namespace: its labels for its pods, and everything allowed where no policy speaks."""
    name = as_text(metadata_of(namespace).get("name"))
    labels = _labels(namespace, _NAMESPACE_LABEL, name)
    spec = {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}], "labelsToApply": labels}
    metadata = _born(namespace, join_revisions(_revision(namespace)))
    problems: tuple[Problem, ...] = ()
    if "uid" in metadata:
        try:
            metadata["uid"] = convert_uid(metadata["uid"])
        except ValueError as error:
            problems = (Problem(str(error), place("Namespace", namespace, "metadata.uid"), "recreate the object"),)
    return Converted(_profile(namespace_profile(name), metadata, spec), problems)


def profile_from_service_account(account: Json) -> Converted:
    """The profile of a ServiceAccount: its labels for the pods that run as it, no rules."""
    metadata = metadata_of(account)
    name = as_text(metadata.get("name"))
    spec = {"labelsToApply": _labels(account, _SERVICE_ACCOUNT_LABEL, name)}
    full_name = service_account_profile(as_text(metadata.get("namespace")), name)
    return Converted(_profile(full_name, _born(account, join_revisions("", _revision(account))), spec))


def join_revisions(namespaces: str, service_accounts: str = "") -> str:
    """The revision of profiles: that of namespaces and that of service accounts, each possibly empty."""
    return f"{namespaces}/{service_accounts}"


def split_revision(revision: str) -> tuple[str, str]:
    """Both halves of a profile's revision; empty ones for an empty revision or `0`. Raises ValueError."""
    if revision in ("", "0"):
        return "", ""
    namespaces, slash, service_accounts = revision.partition("/")
    if not slash or "/" in service_accounts:
        raise ValueError(f"{revision!r} is not a revision of profiles such as 17/23")
    return namespaces, service_accounts


def _labels(obj: Json, prefix: str, name: str) -> dict[str, str]:
    own = as_texts(metadata_of(obj).get("labels"))
    return {**{prefix + key: value for key, value in own.items()}, prefix + _NAME_LABEL: name}


def _revision(obj: Json) -> str:
    return as_text(metadata_of(obj).get("resourceVersion"))


def _born(obj: Json, revision: str) -> dict[str, Any]:
    metadata = metadata_of(obj)
    kept = {name: as_text(metadata.get(name)) for name in ("uid", "creationTimestamp")}
    return {name: value for name, value in kept.items() if value} | {"resourceVersion": revision}


def _profile(name: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "Profile", "metadata": {"name": name, **metadata}, "spec": spec}
