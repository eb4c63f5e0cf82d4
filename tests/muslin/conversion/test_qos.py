"""Limits on a pod's traffic, and quantities."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.conversion.qos import qos_controls
from muslin.conversion.quantities import quantity

_QOS = "qos.projectcalico.org/"


def _controls(**annotations: str) -> tuple[dict[str, Any], list[str]]:
    told: list[str] = []
    found = qos_controls({_QOS + name: text for name, text in annotations.items()}, lambda _, key: told.append(key))
    return found, told


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("1500", 1500),
        ("1k", 1000),
        ("1.01k", 1010),
        ("10M", 10_000_000),
        ("1Gi", 2**30),
        ("1.5Ki", 1536),
        ("500m", 1),
        ("1n", 1),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("100E", 2**63 - 1),
        ("-1.5", -2),
        ("+5", 5),
        (".5k", 500),
        ("5.", 5),
        ("1e-3", 1),
    ],
)
def test_quantities_are_kubernetes(text: str, number: int) -> None:
    """Suffixes, exponents and fractions, which count as a whole."""
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["", "k", "1 k", "1K", "1kk", "1e", "0x10", "one", "1_000", "٣", "1e99999", "9" * 200])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Python's own numbers are more than Kubernetes' quantities."""
    with pytest.raises(ValueError, match="quantity"):
        quantity(text)


def test_nothing_is_limited_by_default() -> None:
    """Without annotations there are no limits."""
    assert _controls() == ({}, [])


def test_kubernetes_bandwidth_is_overridden_by_calico_s() -> None:
    """Both spellings of bandwidth mean the same limit."""
    both = {"kubernetes.io/ingress-bandwidth": "1M", "kubernetes.io/egress-bandwidth": "2M"}
    found = qos_controls({**both, f"{_QOS}egressBandwidth": "3M"}, lambda *_: pytest.fail("told"))

    burst = 4 * 2**30
    assert found == {
        "ingressBandwidth": 10**6, "ingressBurst": burst, "egressBandwidth": 3 * 10**6, "egressBurst": burst
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "least", "most", "needs"),
    [
        ("Bandwidth", 1_000, 10**15, {}),
        ("Burst", 1_000, 34_359_738_360, {"ingressBandwidth": "1M"}),
        ("Peakrate", 1_010, 1_010_000_000_000_000, {"ingressBandwidth": "1k"}),
        ("Minburst", 1_000, 100_000_000, {"ingressBandwidth": "1k", "ingressPeakrate": "1M"}),
        ("PacketRate", 1, 10_000, {}),
        ("PacketBurst", 1, 10_000, {"ingressPacketRate": "7"}),
        ("MaxConnections", 1, 2**32 - 1, {}),
    ],
)
def test_values_are_held_within_their_bounds(name: str, least: int, most: int, needs: dict[str, str]) -> None:
    """What is beyond a bound becomes the bound, and is told; the bounds themselves are fine."""
    key = f"ingress{name}"
    for text, value, told in (("0", least, 1), (str(least), least, 0), (str(most), most, 0), (str(most + 1), most, 1)):
        found, problems = _controls(**needs, **{key: text})

        assert found[key] == value
        assert problems == [_QOS + key] * told


@pytest.mark.parametrize(
    ("annotations", "left_out"),
    [
        ({"egressBurst": "1M"}, "egressBurst"),
        ({"egressPeakrate": "1M"}, "egressPeakrate"),
        ({"egressBandwidth": "2M", "egressPeakrate": "2M"}, "egressPeakrate"),
        ({"egressBandwidth": "2M", "egressMinburst": "2k"}, "egressMinburst"),
        ({"egressPacketBurst": "3"}, "egressPacketBurst"),
        ({"egressPacketRate": "many"}, "egressPacketRate"),
    ],
)
def test_what_makes_no_sense_alone_is_left_out(annotations: dict[str, str], left_out: str) -> None:
    """A burst needs a rate, a peak a bandwidth below it."""
    found, told = _controls(**annotations)

    assert left_out not in found
    assert told == [_QOS + left_out]


def test_a_packet_rate_has_a_burst() -> None:
    """Where nobody set one it is 5."""
    assert _controls(ingressPacketRate="7")[0] == {"ingressPacketRate": 7, "ingressPacketBurst": 5}


@pytest.mark.parametrize(
    ("text", "value"), [("46", 46), ("0", 0), ("EF", "EF"), ("af41", "AF41"), ("CS6", "CS6"), (" ef ", "EF")]
)
def test_dscp_is_a_number_or_a_name(text: str, value: int | str) -> None:
    """Numbers 0..63, and the names that the field has for some."""
    assert _controls(dscp=text) == ({"dscp": value}, [])


@pytest.mark.parametrize("text", ["64", "-1", "AF44", "CS7", "", "high"])
def test_any_other_dscp_is_left_out(text: str) -> None:
    """It is told."""
    assert _controls(dscp=text) == ({}, [f"{_QOS}dscp"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["ingressBandwidth", "egressBurst", "ingressPeakrate", "dscp"]), st.text()))
def test_no_text_makes_it_fail(annotations: dict[str, str]) -> None:
    """Whatever somebody writes, there are limits or there are none."""
    found, told = _controls(**annotations)

    assert found.keys() <= {*annotations, "ingressBurst"}
    assert {_QOS + name for name in annotations if name not in found} <= set(told)
