"""kubeconfig files as kubectl reads them: several merged, a context chosen, an `Access` made of it.

Merging: of equal names the first file's wins whole, as does the first `current-context`. Data in a file win over paths;
relative paths are relative to the file that says them. Nothing is opened but the files that are named.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from muslin import yaml
from muslin.errors import BadInput, Problem
from muslin.kubernetes.access import Access, ExecPlugin, Pem, User, checked_server
from muslin.kubernetes.login import checked_token

__all__ = ["from_files", "from_text"]

_EXEC = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One named cluster, user or context: what it says, and the file that says it."""

    name: str
    value: Mapping[str, Any] = field(repr=False)
    file: str
    folder: Path | None
    section: str

    def place(self, key: str = "") -> str:
        inner = f".{key}" if key else ""
        return f"{self.file}  {self.section}[{self.name}]{inner}"

    def text(self, key: str) -> str:
        """A field that must be a string; empty where missing."""
        value = self.value.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadInput(Problem(f"{key} is no string", self.place(key), "put it in quotes"))
        return value

    def flag(self, key: str) -> bool:
        value = self.value.get(key, False)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise BadInput(Problem(f"{key} is neither true nor false", self.place(key), "write true or false"))
        return value

    def path(self, text: str) -> Path:
        return self.folder / text if self.folder is not None else Path(text)

    def pem(self, key: str) -> Pem | None:
        """`KEY-data`, or else the file that `KEY` names."""
        if data := self.text(f"{key}-data"):
            try:
                return Pem(self.place(f"{key}-data"), base64.b64decode(data, validate=True))
            except binascii.Error as error:
                where = self.place(f"{key}-data")
                raise BadInput(Problem(f"{key}-data is no base64", where, "encode the PEM file with base64")) from error
        name = self.text(key)
        return Pem(self.place(key), path=self.path(name)) if name else None


def from_files(
    paths: str, *, context: str | None = None, home: Path | None = None, must_exist: bool | None = None
) -> Access:
    """An access from what KUBECONFIG holds: a path, or several joined by `:`.

    Of several, files that are missing are passed over; a single one must be there.

    Args:
        paths: as in KUBECONFIG; empty parts do not count.
        context: name, None for the current one.
        home: what `~` stands for.
        must_exist: whether a missing file is an error; None for only if it is the only one.

    Raises BadInput with what is wrong and where.
    """
    names = [part for part in paths.split(os.pathsep) if part]
    strict = len(names) == 1 if must_exist is None else must_exist
    read: list[tuple[str, Path | None, Any]] = []
    for name in names:
        path = Path(str(home) + name[1:] if home is not None and name.startswith("~/") else name).expanduser()
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            if strict:
                fix = "check the path: --kubeconfig, KUBECONFIG"
                raise BadInput(Problem("the kubeconfig does not exist", str(path), fix)) from error
            continue
        except OSError as error:
            what = f"the kubeconfig can't be read: {error.strerror}"
            raise BadInput(Problem(what, str(path), "check the path and its mode")) from error
        read.append((str(path), path.absolute().parent, _document(text, str(path))))
    if not read:
        raise BadInput(Problem("no kubeconfig is there", paths or "KUBECONFIG", "name one that exists"))
    return _access(read, context)


def from_text(text: str, *, context: str | None = None, name: str = "kubeconfig (inline)") -> Access:
    """An access from the text of one kubeconfig; relative paths are relative to where the program runs."""
    return _access([(name, None, _document(text, name))], context)


def _document(text: bytes | str, file: str) -> Any:
    documents = yaml.load(text, file)
    if not documents:
        return {}
    value = documents[0].value
    if not isinstance(value, dict) or value.get("kind", "Config") != "Config":
        raise BadInput(Problem("this is no kubeconfig", file, "it begins with `apiVersion: v1` and `kind: Config`"))
    return value


def _entries(read: Sequence[tuple[str, Path | None, Any]], section: str, inner: str) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    for file, folder, value in read:
        listed = value.get(section) or []
        if not isinstance(listed, list):
            raise BadInput(Problem(f"{section} is no list", f"{file}  {section}", "write a list of names and values"))
        for number, each in enumerate(listed):
            name = each.get("name") if isinstance(each, dict) else None
            content = each.get(inner) if isinstance(each, dict) else None
            if not isinstance(name, str) or not isinstance(content, dict | None):
                where = f"{file}  {section}[{number}]"
                raise BadInput(Problem(f"not a {inner} with a name", where, f"write `- name: ...` and `{inner}:`"))
            found.setdefault(name, _Entry(name, content or {}, file, folder, section))
    return found


def _chosen(entries: Mapping[str, _Entry], name: str, what: str, where: str) -> _Entry:
    if (entry := entries.get(name)) is not None:
        return entry
    near = difflib.get_close_matches(name, entries, 1)
    there = ", ".join(sorted(entries)) or "none"
    fix = f"did you mean {near[0]}? " if near else ""
    raise BadInput(Problem(f"there is no {what} {name!r}", where, f"{fix}there are: {there}"))


def _access(read: Sequence[tuple[str, Path | None, Any]], context: str | None) -> Access:
    contexts = _entries(read, "contexts", "context")
    files = ", ".join(file for file, _, _ in read)
    current = context or next((value["current-context"] for _, _, value in read if value.get("current-context")), None)
    if not isinstance(current, str):
        there = ", ".join(sorted(contexts)) or "none"
        raise BadInput(
            Problem(
                "no context is chosen",
                f"{files}  current-context",
                f"set it, or name one (--context); there are: {there}",
            )
        )
    chosen = _chosen(contexts, current, "context", f"{files}  contexts")
    cluster = _chosen(_entries(read, "clusters", "cluster"), chosen.text("cluster"), "cluster", chosen.place("cluster"))
    users = _entries(read, "users", "user")
    user = _chosen(users, chosen.text("user"), "user", chosen.place("user")) if chosen.text("user") else None
    server = checked_server(cluster.text("server"), cluster.place("server"))
    proxy = cluster.text("proxy-url")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        what = f"proxies of the kind {urlsplit(proxy).scheme or proxy!r} are not supported"
        raise BadInput(Problem(what, cluster.place("proxy-url"), "use an http:// or https:// proxy"))
    insecure = cluster.flag("insecure-skip-tls-verify")
    authority = cluster.pem("certificate-authority")
    if insecure and authority is not None:
        what = "a certificate authority is given, and insecure-skip-tls-verify would not look at it"
        raise BadInput(Problem(what, cluster.place("insecure-skip-tls-verify"), "remove one of the two"))
    return Access(
        server=server,
        ca=authority,
        user=_user(user, cluster, authority) if user is not None else User(),
        insecure_skip_tls_verify=insecure,
        tls_server_name=cluster.text("tls-server-name") or None,
        proxy_url=proxy or None,
        namespace=chosen.text("namespace") or "default",
        place=chosen.place(),
    )


def _user(entry: _Entry, cluster: _Entry, authority: Pem | None) -> User:
    if (provider := entry.value.get("auth-provider")) is not None:
        name = provider.get("name", "") if isinstance(provider, dict) else ""
        what = f"the auth-provider {name} is not supported; Kubernetes removed these in 1.26"
        fix = "use the provider's exec plugin (users[].user.exec), such as kubelogin or gke-gcloud-auth-plugin"
        raise BadInput(Problem(what, entry.place("auth-provider"), fix))
    token, token_file = entry.text("token"), entry.text("tokenFile")
    plugin = _plugin(entry, cluster, authority)
    if plugin is not None and (token or token_file or entry.text("username")):
        what = "exec is given beside another way to log in"
        raise BadInput(Problem(what, entry.place("exec"), "keep one of them"))
    return User(
        token=checked_token(token, entry.place("token")) if token else None,
        token_file=entry.path(token_file) if token_file else None,
        username=entry.text("username") or None,
        password=entry.text("password") or None,
        certificate=entry.pem("client-certificate"),
        key=entry.pem("client-key"),
        plugin=plugin,
        impersonation=_impersonation(entry),
    )


def _impersonation(entry: _Entry) -> tuple[tuple[str, str], ...]:
    """Headers for `as`, `as-uid`, `as-groups`, `as-user-extra`."""
    headers = [
        (header, entry.text(key))
        for header, key in (("Impersonate-User", "as"), ("Impersonate-Uid", "as-uid"))
        if entry.text(key)
    ]
    headers += [("Impersonate-Group", str(group)) for group in entry.value.get("as-groups") or ()]
    for name, values in (entry.value.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{name}", str(value)) for value in values]
    for name, value in headers:
        if not (name + value).isprintable() or not (name + value).isascii():
            raise BadInput(
                Problem("an impersonated name can't stand in a header", entry.place(), "use printable ASCII")
            )
    return tuple(headers)


def _plugin(entry: _Entry, cluster: _Entry, authority: Pem | None) -> ExecPlugin | None:
    given = entry.value.get("exec")
    if given is None:
        return None
    place = entry.place("exec")
    said = _Entry(
        entry.name, given if isinstance(given, dict) else {}, entry.file, entry.folder, f"{entry.section}.exec"
    )
    command, version = said.text("command"), said.text("apiVersion")
    if not command:
        raise BadInput(Problem("exec names no command", place, "write exec.command"))
    if version not in _EXEC:
        raise BadInput(Problem(f"exec speaks {version or 'no apiVersion'}", place, f"use {_EXEC[0]}"))
    mode = said.text("interactiveMode")
    if mode == "Always":
        what = f"the credential plugin {command} wants a terminal, and we give it none"
        raise BadInput(Problem(what, place, "log in beforehand and set interactiveMode to IfAvailable or Never"))
    if mode not in ("", "Never", "IfAvailable"):
        raise BadInput(Problem(f"there is no interactiveMode {mode!r}", place, "write Never or IfAvailable"))
    arguments, variables = given.get("args") or [], given.get("env") or []
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        raise BadInput(Problem("args of exec are no list of strings", place, "put numbers in quotes"))
    if not isinstance(variables, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("value"), str)
        for each in variables
    ):
        raise BadInput(Problem("env of exec is no list of names and values", place, "write `- name: A` and `value: b`"))
    return ExecPlugin(
        command=str(entry.path(command)) if "/" in command else command,
        arguments=tuple(arguments),
        environment=tuple((each["name"], each["value"]) for each in variables),
        api_version=version,
        cluster=_cluster_info(cluster, authority) if said.flag("provideClusterInfo") else None,
        hint=said.text("installHint"),
        place=place,
    )


def _cluster_info(cluster: _Entry, authority: Pem | None) -> dict[str, Any]:
    """What a plugin is told about the cluster; `config` is the cluster's own extension for it."""
    info: dict[str, Any] = {"server": cluster.text("server")}
    if authority is not None:
        info["certificate-authority-data"] = base64.b64encode(authority.read()).decode()
    for key in ("tls-server-name", "proxy-url"):
        if value := cluster.text(key):
            info[key] = value
    if cluster.flag("insecure-skip-tls-verify"):
        info["insecure-skip-tls-verify"] = True
    for each in cluster.value.get("extensions") or ():
        if isinstance(each, dict) and each.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = each.get("extension")
    return info
