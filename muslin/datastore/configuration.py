"""From flags, a CalicoAPIConfig file and the environment to which datastore is used and how it is reached.

Precedence: a datastore file given by hand; a configuration file given by hand; `MUSLIN_DATASTORE`; the default
configuration file where there is one; the environment. A file is the whole truth: the environment fills nothing in.
Each variable is also read with the prefix `CALICO_`, which wins. Whatever is wrong is told, all of it at once.
Source: calico.md sections 1a, 1b and 10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from muslin.datastore.settings import DatastoreSettings, EmbeddedSettings, EtcdSettings, KubernetesSettings
from muslin.errors import BadInput, Problem

__all__ = ["DEFAULT_DATASTORE", "DEFAULT_FILE", "EMBEDDED_VARIABLE", "Asked", "settings_of"]

DEFAULT_FILE: Final = "/etc/calico/calicoctl.cfg"
DEFAULT_DATASTORE: Final = "/var/lib/muslin/datastore.db"
EMBEDDED_VARIABLE: Final = "MUSLIN_DATASTORE"

_API_VERSION = "projectcalico.org/v3"
_LARGEST_FILE = 1 << 20
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_GROUPS = ("projectcalico.org/v3", "crd.projectcalico.org/v1")

_VARIABLES: Final[Mapping[str, str]] = {
    "datastoreType": "DATASTORE_TYPE",
    "etcdEndpoints": "ETCD_ENDPOINTS",
    "etcdDiscoverySrv": "ETCD_DISCOVERY_SRV",
    "etcdUsername": "ETCD_USERNAME",
    "etcdPassword": "ETCD_PASSWORD",
    "etcdKeyFile": "ETCD_KEY_FILE",
    "etcdCertFile": "ETCD_CERT_FILE",
    "etcdCACertFile": "ETCD_CA_CERT_FILE",
    "kubeconfig": "KUBECONFIG",
    "k8sAPIEndpoint": "K8S_API_ENDPOINT",
    "k8sKeyFile": "K8S_KEY_FILE",
    "k8sCertFile": "K8S_CERT_FILE",
    "k8sCAFile": "K8S_CA_FILE",
    "k8sAPIToken": "K8S_API_TOKEN",
    "k8sInsecureSkipTLSVerify": "K8S_INSECURE_SKIP_TLS_VERIFY",
    "k8sDisableNodePoll": "K8S_DISABLE_NODE_POLL",
    "usePodCIDR": "USE_POD_CIDR",
    "k8sClientQPS": "K8S_CLIENT_QPS",
    "k8sClientBurst": "K8S_CLIENT_BURST",
    "k8sCurrentContext": "K8S_CURRENT_CONTEXT",
    "calicoAPIGroup": "CALICO_API_GROUP",
}
"""Mapping[field of the file's spec, variable without prefix]."""

_ONLY_IN_FILES = ("etcdKey", "etcdCert", "etcdCACert", "kubeconfigInline", "embeddedPath")
"""Fields without a variable, so that no key lands in an environment; `embeddedPath` is ours."""

_FIELDS = (*_VARIABLES, *_ONLY_IN_FILES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line says about the datastore; None where it says nothing.

    Attributes:
        file: of the embedded datastore.
        config: a CalicoAPIConfig file, None for the default one.
        context: of the kubeconfig.
        prefer_embedded: use the embedded datastore's usual file where nobody said anything at all. `calicoctl` never
            does.
    """

    file: str | None = None
    config: str | None = None
    context: str | None = None
    prefer_embedded: bool = True


@dataclass(frozen=True, slots=True)
class _Given:
    """Settings as text, and how to name where one of them came from."""

    values: Mapping[str, str]
    where: Callable[[str], str]

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None


def settings_of(
    asked: Asked,
    environment: Mapping[str, str],
    *,
    default_file: str = DEFAULT_FILE,
    default_datastore: str = DEFAULT_DATASTORE,
) -> DatastoreSettings:
    """The datastore that is meant.

    Args:
        asked: the command line's part.
        environment: of the process; `HOME` and `KUBERNETES_SERVICE_HOST` are looked at as well.
        default_file: read if no file is given and it is there.
        default_datastore: the embedded datastore's usual file.

    Raises:
        BadInput: with every problem of the source that counts.
    """
    if asked.file is not None:
        return EmbeddedSettings(asked.file)
    if asked.config is None and environment.get(EMBEDDED_VARIABLE):
        return EmbeddedSettings(environment[EMBEDDED_VARIABLE])
    file = asked.config if asked.config is not None else default_file
    if Path(file).is_file():
        given = _from_file(file)
    elif asked.config is not None and asked.config != default_file:
        raise BadInput(
            Problem(f"Error reading config file: {file}", "--config", "give a CalicoAPIConfig file that is there")
        )
    else:
        given = _from_environment(environment)
        if asked.prefer_embedded and not given.values and not _kubernetes_is_near(environment):
            return EmbeddedSettings(default_datastore, assumed=True)
    settings = _Reading(given, environment, default_datastore).settings()
    if asked.context and isinstance(settings, KubernetesSettings):
        return replace(settings, context=asked.context)
    return settings


def _kubernetes_is_near(environment: Mapping[str, str]) -> bool:
    """Whether a Kubernetes would be found without being named: in a pod, or by the user's own kubeconfig."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) or _own_kubeconfig(environment) is not None


def _own_kubeconfig(environment: Mapping[str, str]) -> str | None:
    home = environment.get("HOME")
    path = Path(home, ".kube", "config") if home else None
    try:
        return str(path) if path is not None and path.is_file() else None
    except OSError:
        return None


def _from_environment(environment: Mapping[str, str]) -> _Given:
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    for field, variable in _VARIABLES.items():
        for name in (f"CALICO_{variable}", variable, f"CALICO_{field.upper()}"):
            if environment.get(name):
                names[field], values[field] = name, environment[name]
                break
    return _Given(values, lambda field: names.get(field) or _VARIABLES.get(field, field))


def _from_file(file: str) -> _Given:
    from muslin import yaml  # noqa: PLC0415 - most commands read no file

    try:
        with Path(file).open("rb") as opened:
            text = opened.read(_LARGEST_FILE + 1)
    except OSError as error:
        what = f"Error reading config file: {file}: {error.strerror}"
        raise BadInput(Problem(what, file, "make it readable for this user")) from error
    documents = yaml.load(text, file)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise BadInput(
            Problem(f"syntax error in {file}: it is not one document", file, "write one CalicoAPIConfig in it")
        )
    value, places = documents[0].value, documents[0].places
    problems: list[Problem] = []

    def at(*path: str) -> str:
        return str(places.at(path))

    if value.get("apiVersion") != _API_VERSION:
        what = f"syntax error in {file}: invalid config file: unknown APIVersion '{value.get('apiVersion', '')}'"
        problems.append(Problem(what, at("apiVersion"), f"set apiVersion to {_API_VERSION}"))
    if value.get("kind") != "CalicoAPIConfig":
        what = f"invalid config file: expected kind 'CalicoAPIConfig', got '{value.get('kind', '')}'"
        problems.append(Problem(f"syntax error in {file}: {what}", at("kind"), "set kind to CalicoAPIConfig"))
    spec = value.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadInput([*problems, Problem("spec is not a mapping", at("spec"), "write its fields below spec:")])
    problems += [
        _unknown(name, str(places.key((name,))), ("metadata", "spec"))
        for name in value
        if name not in ("apiVersion", "kind", "metadata", "spec")
    ]
    values: dict[str, str] = {}
    for name, held in spec.items():
        if name not in _FIELDS:
            problems.append(_unknown(name, str(places.key(("spec", name))), _FIELDS))
        elif isinstance(held, bool):
            values[name] = "true" if held else "false"
        elif isinstance(held, str | int | float):
            values[name] = str(held)
        elif held is not None:
            problems.append(Problem(f"{name} is not text", at("spec", name), "write one value"))
    if problems:
        raise BadInput(problems)
    return _Given(values, lambda field: at("spec", field))


def _unknown(name: str, where: str, known: tuple[str, ...]) -> Problem:
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    meant = get_close_matches(name, known, 1)
    fix = f"did you mean {meant[0]}?" if meant else "remove it"
    return Problem(f"field in document is not recognized or is in the wrong location: {name}", where, fix)


class _Reading:
    """One pass over settings as text; collects problems."""

    def __init__(self, given: _Given, environment: Mapping[str, str], default_datastore: str) -> None:
        self._given, self._environment, self._default = given, environment, default_datastore
        self._problems: list[Problem] = []

    def settings(self) -> DatastoreSettings:
        kind = self._given.get("datastoreType")
        if kind is None:
            etcd = self._given.get("etcdEndpoints") or self._given.get("etcdDiscoverySrv")
            kind = "etcdv3" if etcd else "kubernetes"
        made: DatastoreSettings
        match kind.lower():
            case "etcdv3":
                made = self._etcd()
            case "kubernetes":
                made = self._kubernetes()
            case "embedded":
                made = EmbeddedSettings(self._given.get("embeddedPath") or self._default)
            case _:
                self._wrong("datastoreType", f"unknown datastore type: {kind}", "use kubernetes, etcdv3 or embedded")
        if self._problems:
            raise BadInput(self._problems)
        return made

    def _wrong(self, field: str, what: str, fix: str) -> None:
        self._problems.append(Problem(what, self._given.where(field), fix))

    def _etcd(self) -> EtcdSettings:
        get = self._given.get
        endpoints = tuple(each.strip() for each in (get("etcdEndpoints") or "").split(",") if each.strip())
        srv = get("etcdDiscoverySrv")
        if endpoints and srv:
            what = "multiple discovery or bootstrap options specified, use either 'etcdEndpoints' or 'etcdDiscoverySrv'"
            self._wrong("etcdDiscoverySrv", what, "remove one of the two")
        elif not endpoints and not srv:
            self._wrong("etcdEndpoints", "no etcd endpoints specified", "for example https://192.0.2.10:2379")
        inline = [name for name in ("etcdKey", "etcdCert", "etcdCACert") if get(name)]
        files = [f"{name}File" for name in ("etcdKey", "etcdCert", "etcdCACert") if get(f"{name}File")]
        if inline and files:
            what = f"certificates are given inline ({inline[0]}) and as files ({files[0]}) at once"
            self._wrong(inline[0], what, "use one way for all of them")
        pems = {name: self._pem(name) for name in ("etcdCACert", "etcdCert", "etcdKey")}
        if (pems["etcdCert"] is None) != (pems["etcdKey"] is None) and not self._problems:
            there, missing = ("etcdCert", "etcdKey") if pems["etcdKey"] is None else ("etcdKey", "etcdCert")
            self._wrong(there, f"{there} is given without {missing}", "a client certificate and its key go together")
        if get("etcdPassword") and not get("etcdUsername"):
            self._wrong("etcdPassword", "there is a password without a user", "set etcdUsername (ETCD_USERNAME)")
        return EtcdSettings(
            endpoints=tuple(each for text in endpoints if (each := self._endpoint(text))),
            discovery_srv=srv,
            username=get("etcdUsername"),
            password=get("etcdPassword"),
            ca_cert=pems["etcdCACert"],
            cert=pems["etcdCert"],
            key=pems["etcdKey"],
            places=tuple(
                get(f"{name}File") or self._given.where(name) for name, pem in pems.items() if pem is not None
            ),
        )

    def _endpoint(self, text: str) -> str | None:
        from urllib.parse import urlsplit  # noqa: PLC0415 - the other datastores do without it

        url = text if "://" in text else f"http://{text}"
        try:
            parts = urlsplit(url)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
            _ = parts.port
        except ValueError:
            fine = False
        if not fine or "@" in text:
            shown = text if "@" not in text else f"...@{text.rpartition('@')[2]}"  # before it may be a password
            self._wrong("etcdEndpoints", f"{shown!r} is not an endpoint", "for example https://192.0.2.10:2379")
            return None
        return url.rstrip("/")

    def _pem(self, name: str) -> bytes | None:
        inline, path = self._given.get(name), self._given.get(f"{name}File")
        if inline:
            return inline.encode()
        if not path:
            return None
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._wrong(f"{name}File", f"{path} can't be read: {reason}", "give a file that is there and readable")
            return None

    def _kubernetes(self) -> KubernetesSettings:
        get = self._given.get
        kubeconfig, endpoint = get("kubeconfig"), get("k8sAPIEndpoint")
        inline = get("kubeconfigInline")
        if not (kubeconfig or endpoint or inline):
            kubeconfig = _own_kubeconfig(self._environment)
        elif kubeconfig and not inline:
            kubeconfig = self._kubeconfig(kubeconfig)
        for name in ("k8sCAFile", "k8sCertFile", "k8sKeyFile"):
            if get(name) and not Path(get(name) or "").is_file():
                self._wrong(name, f"{get(name)} is not there", "give a file that is there and readable")
        group = get("calicoAPIGroup")
        if group is not None and group.lower() not in _GROUPS:
            self._wrong("calicoAPIGroup", f"{group!r} is no API group", f"use one of {', '.join(_GROUPS)}")
        plain = KubernetesSettings()
        return KubernetesSettings(
            kubeconfig=kubeconfig,
            kubeconfig_inline=inline,
            context=get("k8sCurrentContext"),
            api_endpoint=endpoint,
            ca_file=get("k8sCAFile"),
            cert_file=get("k8sCertFile"),
            key_file=get("k8sKeyFile"),
            token=get("k8sAPIToken"),
            insecure_skip_tls_verify=self._flag("k8sInsecureSkipTLSVerify"),
            use_pod_cidr=self._flag("usePodCIDR"),
            api_group=group.lower() if group else None,
            qps=self._number("k8sClientQPS", plain.qps),
            burst=int(self._number("k8sClientBurst", plain.burst)),
        )

    def _kubeconfig(self, paths: str) -> str:
        """One of several joined by `:` may be missing, as kubectl bears it; all of them may not."""
        if not any(Path(path).is_file() for path in paths.split(":") if path):
            what = f"the kubeconfig {paths} is not there"
            self._wrong("kubeconfig", what, "give a file that is there and readable, such as ~/.kube/config")
        return paths

    def _flag(self, name: str) -> bool:
        text = self._given.get(name)
        if text is not None and text not in _TRUE | _FALSE:
            self._wrong(name, f"{text!r} is neither true nor false", "use true or false")
        return text in _TRUE

    def _number(self, name: str, default: float) -> float:
        text: Any = self._given.get(name)
        if text is None:
            return default
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e6:
            self._wrong(name, f"{text!r} is not a number of requests a second", "for example 50")
            return default
        return number or default
