"""Which etcd may keep Calico's resources: a separate one, over TLS, never the one of Kubernetes itself."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from blueprints.decision import section
from blueprints.fact_parts import NodeRole
from blueprints.facts import Facts
from muslin.errors import Problem
from muslin.net import parse_address

__all__ = ["endpoint_problems", "of_the_cluster", "unfit"]

_SOURCE = section("etcd Datastore Mode")
_PORT = 2379


def endpoint_problems(facts: Facts, file: str) -> tuple[Problem, ...]:
    """What is wrong with the endpoints that the facts name, each with its place."""
    if not facts.etcd_endpoints:
        fix = 'name its members, such as etcdEndpoints: ["https://192.0.2.10:2379"]'
        return (Problem("the etcd has no endpoints", f"{file}  etcdEndpoints", fix, _SOURCE),)
    return tuple(
        problem
        for index, endpoint in enumerate(facts.etcd_endpoints)
        for problem in unfit(facts, endpoint, f"{file}  etcdEndpoints[{index}]")
    )


def unfit(facts: Facts, endpoint: str, where: str) -> Iterator[Problem]:
    """What is wrong with one endpoint, which stands at a place."""
    try:
        url = urlsplit(endpoint)
        known = url.scheme in ("http", "https") and url.hostname is not None and url.port is not None
    except ValueError:
        known = False
    if not known or "," in endpoint:
        fix = "write it as https://HOST:PORT, one each"
        yield Problem(f"{endpoint!r} is no URL of an etcd", where, fix)
        return
    if url.scheme != "https":
        what = f"{endpoint} is without TLS: whoever reads the network would read and change all of it"
        yield Problem(what, where, "serve it with TLS and ask clients for certificates, and write https", _SOURCE)
    if of_the_cluster(facts, endpoint):
        what = f"{endpoint} is where the etcd of Kubernetes itself listens"
        fix = "run a separate etcd: nothing but Kubernetes may have access to its own"
        yield Problem(what, where, fix, _SOURCE)


def of_the_cluster(facts: Facts, endpoint: str) -> bool:
    """Whether a URL is the usual place of Kubernetes' own etcd: its port on the API server's or a control plane's host.

    A name that is resolved elsewhere is not recognised: who has given one has said etcdIsTheClusters: false.
    """
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        return False
    if port != _PORT or url.hostname is None:
        return False
    if url.hostname == "localhost":
        return True
    try:
        address = parse_address(url.hostname)
    except ValueError:
        return False
    theirs = {facts.kubernetes.api_server}
    for node in facts.nodes:
        if NodeRole.CONTROL_PLANE in node.roles:
            theirs |= {node.address, node.address_v6}
    return address.is_loopback or address in theirs
