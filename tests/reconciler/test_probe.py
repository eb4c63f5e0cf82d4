"""Probes as people declare them: what is read, what is refused, and how they are said."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from muslin import yaml
from muslin.errors import BadInput
from reconciler.probe import LONGEST_S, MOST_PROBES, Expect, Pods, Probe, Traffic, is_probe, probe_of, too_many
from reconciler.probe_questions import MOST_SOURCES, MOST_TARGETS

_TEXT = """apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {name: web-to-db}
spec:
  from: {namespace: shop, selector: app == 'web'}
  to: {address: 192.0.2.10}
  protocol: TCP
  port: 5432
"""


def _read(text: str) -> Probe:
    document = yaml.load(text.encode(), "probes.yaml")[0]
    assert is_probe(document.value)
    return probe_of(document.value, document.places, "probes.yaml")


def test_a_probe_is_read_and_says_itself() -> None:
    """What is not given is the reachability of all pairs over TCP, a second each."""
    found = _read(_TEXT)

    assert found == Probe(
        "web-to-db", Pods("shop", None, "app == 'web'"), ip_address("192.0.2.10"), Traffic.TCP, 5432,
        Expect.REACHABLE, 1.0, None, "probes.yaml:1:1",
    )  # fmt: skip
    assert str(found) == "web-to-db: pods \"app == 'web'\" in shop must reach 192.0.2.10 over TCP 5432"


def test_every_field() -> None:
    """A pod by name, a selector over all namespaces as target, another protocol, count, expectation and time."""
    text = _TEXT.replace("selector: app == 'web'", "pod: web-0").replace("address: 192.0.2.10", "selector: has(db)")
    found = _read(text.replace("protocol: TCP\n  port: 5432", "protocol: ICMP\n  expect: Unreachable\n  count: 2"))

    assert (found.source, found.target) == (Pods("shop", "web-0"), Pods(None, None, "has(db)"))
    assert (found.traffic, found.port, found.expect, found.count) == (Traffic.ICMP, None, Expect.UNREACHABLE, 2)
    assert str(found) == "web-to-db: shop/web-0 must not reach pods 'has(db)' over ICMP"
    assert _read(_TEXT + "  timeout: 250ms\n").timeout_s == 0.25


def test_the_probe_in_the_documentation_is_right() -> None:
    """What people copy is read without a problem, and the bounds that the page tells are those that hold."""
    page = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text("utf-8")
    section = page.partition("## What must stay reachable\n")[2].partition("\n## ")[0]
    found = _read(section.partition("```yaml\n")[2].partition("```")[0])

    assert (found.name, found.target, found.count) == ("web-to-db", Pods("shop", "db"), 1)
    assert f"32 probes of a set, of each at most {MOST_SOURCES} pods that ask and {MOST_TARGETS} that are" in section
    assert (MOST_PROBES, LONGEST_S) == (32, 3.0)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("192.0.2.10", "db.example", "'db.example' is not an IP address"),
        ("192.0.2.10", "192.0.2.0/24", "is not an IP address"),
        ("192.0.2.10", "169.254.169.254", "is no address that a probe may ask for"),
        ("192.0.2.10", "127.0.0.1", "is no address that a probe may ask for"),
        ("address: 192.0.2.10", "address: 192.0.2.10, pod: db", "it names an address, and pods"),
        ("address: 192.0.2.10", "namespace: shop", "it must name either a pod or a selector"),
        ("namespace: shop, selector: app == 'web'", "pod: web-0", "a pod is named without its namespace"),
        ("app == 'web'", "'app =='", "is not a selector"),
        ("  port: 5432\n", "", "TCP needs a port"),
        ("protocol: TCP", "protocol: ICMP", "ICMP has no ports"),
        ("protocol: TCP", "protocol: SCTP", "'SCTP' is not allowed"),
        ("port: 5432", "port: 65536", "65536 is out of range"),
        ("port: 5432", "port: 1\n  timeout: 1h", "1h0m0s is not between 50ms and 3s"),
        ("port: 5432", "port: 1\n  count: 0", "0 is out of range"),
        ("port: 5432", "port: 1\n  command: id", "unknown field 'command'"),
        ("web-to-db", "Web", "'Web' can't be a probe's name"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, what: str) -> None:
    """Names, networks, this machine and links are no targets; each mistake has a place in the file."""
    assert old in _TEXT
    with pytest.raises(BadInput) as raised:
        _read(_TEXT.replace(old, new))

    assert what in raised.value.problems[0].what
    assert raised.value.problems[0].where.startswith("probes.yaml:")


def test_doubles_and_too_many_are_told() -> None:
    """A name is one probe's, and a set has a bounded number of them."""
    one = _read(_TEXT)
    many = tuple(_read(_TEXT.replace("web-to-db", f"p{n}")) for n in range(MOST_PROBES + 1))

    assert [each.what for each in too_many((one, _read(_TEXT)))] == [
        "probe web-to-db is declared twice, first at probes.yaml:1:1"
    ]
    assert [each.what for each in too_many(many)] == ["there are 33 probes, and a set may have 32"]
    assert not too_many(many[1:])
