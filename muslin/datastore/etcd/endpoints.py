"""Where the members of an etcd are: URLs as people write them, checked before anything is connected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from muslin.errors import BadInput, Problem

__all__ = ["Endpoint", "endpoints_from"]

_PORT = 2379


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member: `target` is `host:port` as gRPC takes it, an IPv6 host in brackets."""

    target: str
    tls: bool

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.target}"


def endpoints_from(urls: Sequence[str]) -> tuple[Endpoint, ...]:
    """The members, in this order, each once.

    Raises:
        BadInput: none, one that is no URL, or some with TLS beside some without.
    """
    found: dict[Endpoint, None] = {}
    problems = []
    for url in urls:
        try:
            found[_endpoint(url.strip())] = None
        except ValueError as error:
            fix = f"such as https://192.0.2.10:{_PORT}"
            shown = url if "@" not in url else f"...@{url.rpartition('@')[2]}"  # before it may be a password
            problems.append(Problem(f"{shown!r} is no endpoint of etcd: {error}", "etcdEndpoints", fix))
    if problems:
        raise BadInput(problems)
    if not found:
        fix = "set etcdEndpoints (ETCD_ENDPOINTS), or etcdDiscoverySrv (ETCD_DISCOVERY_SRV)"
        raise BadInput(Problem("no endpoint of etcd is given", "etcdEndpoints", fix))
    if len({endpoint.tls for endpoint in found}) > 1:
        what = "some endpoints of etcd use TLS and some do not"
        raise BadInput(Problem(what, ", ".join(map(str, found)), "use https:// for all of them"))
    return tuple(found)


def _endpoint(url: str) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it begins with neither https:// nor http://")
    if parts.username is not None or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("there is more than a host and a port in it")
    host = parts.hostname
    if not host or any(sign.isspace() or sign in ",%" for sign in host):
        raise ValueError("its host is not one")
    port = _PORT if parts.port is None else parts.port
    return Endpoint(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", parts.scheme == "https")
