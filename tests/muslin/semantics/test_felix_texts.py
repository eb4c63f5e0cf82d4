"""Settings as texts: variables of an environment, lines of a file, fields of an object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.errors import BadInput
from muslin.resources.durations import Duration
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.semantics.felix_numbers import FailsafePort
from muslin.semantics.felix_parameters import PARAMETERS
from muslin.semantics.felix_sources import resolve
from muslin.semantics.felix_texts import felix_environment, felix_fields, felix_file


def _felix(spec: dict[str, Any], **annotations: str) -> FelixConfiguration:
    metadata = {
        "name": "default",
        "annotations": {f"config.projectcalico.org/{name}": text for name, text in annotations.items()},
    }
    return FelixConfiguration.model_validate({"metadata": metadata, "spec": spec})


def test_variables_that_begin_with_felix_are_settings() -> None:
    """The beginning counts in any case; a text may hold anything, also '='."""
    variables = {"FeLIX_LoGSEVERITYSCREEN": "INFO", "FELIX_FOO": "bar=baz", "PATH": "/bin", "XFELIX_A": "1"}

    assert felix_environment(variables) == {"logseverityscreen": "INFO", "foo": "bar=baz"}


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("[global]\nA=1\n", {"A": "1"}),
        ("A=1", {"A": "1"}),
        ("[x]\nA = 1\n[y]\nB: 2\nA=3", {"A": "3", "B": "2"}),
        ("# no\n; no\n  \nA=1 # why\nB=2;why", {"A": "1", "B": "2"}),
        ('A=\'a b\'\nB="c"\nC=`#d`\nD="""e;f"""', {"A": "a b", "B": "c", "C": "#d", "D": "e;f"}),
        ("A=1,\\\n  2\nB=3", {"A": "1,2", "B": "3"}),
        ("A=a=b:c", {"A": "a=b:c"}),
        ("\ufeffA=\r\nB=1\r\n", {"A": "", "B": "1"}),
    ],
)
def test_a_file_is_read_as_felix_reads_it(text: str, settings: dict[str, str]) -> None:
    """Sections do not matter, comments and quotes go, lines go on after a backslash."""
    assert felix_file(text) == settings


@pytest.mark.parametrize(("text", "line"), [("[global", 1), ("[]", 1), ("A=1\nB", 2), ("=1", 1), ("[x]\n\n: 2", 3)])
def test_a_file_that_is_none_is_refused_with_its_line(text: str, line: int) -> None:
    """What is neither section nor setting nor comment is told with file and line."""
    with pytest.raises(BadInput) as refused:
        felix_file(text, "felix.cfg")

    assert refused.value.problems[0].where == f"felix.cfg:{line}"


@given(st.text(alphabet="aA1=:[]#;'\"`\\ \n\r\t", max_size=30))
def test_any_file_is_read_or_refused(text: str) -> None:
    """No text ends in another error."""
    try:
        settings = felix_file(text)
    except BadInput:
        return
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in settings.items())


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({"ipv6Support": False}, {"Ipv6Support": "false"}),
        ({"routeRefreshInterval": "1m30.5s"}, {"RouteRefreshInterval": "90.5"}),
        ({"iptablesLockProbeInterval": "1.5s"}, {"IptablesLockProbeIntervalMillis": "1500"}),
        ({"netlinkTimeout": "20ms"}, {"NetlinkTimeoutSecs": "0.02"}),
        ({"wireguardKeepAlive": "0s"}, {"WireguardPersistentKeepAlive": "0"}),
        ({"ipipMTU": 1400, "bpfConntrackMode": "Auto"}, {"IpInIpMtu": "1400", "BPFConntrackCleanupMode": "Auto"}),
        (
            {"externalNodesList": ["192.0.2.1", "198.51.100.0/24"]},
            {"ExternalNodesCIDRList": "192.0.2.1,198.51.100.0/24"},
        ),
        ({"failsafeInboundHostPorts": []}, {"FailsafeInboundHostPorts": "none"}),
        (
            {
                "failsafeOutboundHostPorts": [
                    {"port": 1},
                    {"protocol": "UDP", "port": 2, "net": "198.51.100.0/24"},
                    {"protocol": "tcp", "port": 3, "net": "2001:db8::/32"},
                ]
            },
            {"FailsafeOutboundHostPorts": "tcp:1,udp:198.51.100.0/24:2,tcp:[2001:db8::/32]:3"},
        ),
        ({"routeTableRange": {"min": 1, "max": 9}}, {"RouteTableRange": "1-9"}),
        ({"routeTableRanges": [{"min": 1, "max": 9}, {"min": 11, "max": 12}]}, {"RouteTableRanges": "1-9,11-12"}),
        ({"kubeNodePortRanges": [80, "90:99"]}, {"KubeNodePortRanges": "80,90:99"}),
        ({"natPortRange": "1:2"}, {"NATPortRange": "1:2"}),
        ({"healthTimeoutOverrides": [{"name": "a", "timeout": "90s"}]}, {"HealthTimeoutOverrides": "a=1m30s"}),
        (
            {"bpfConntrackTimeouts": {"tcpSynSent": "5s", "genericTimeout": "Auto"}},
            {"BPFConntrackTimeouts": "TCPSynSent=5s,GenericTimeout=Auto"},
        ),
        ({"bpfLogFilters": {"eth0": "tcp", "all": "udp"}}, {"BPFLogFilters": "eth0=tcp,all=udp"}),
        ({"floatingIPs": "Enabled", "nftablesMode": "Auto"}, {"FloatingIPs": "Enabled", "NFTablesMode": "Auto"}),
        ({"iptablesMarkMask": 0xFF}, {"IptablesMarkMask": "255"}),
        ({"istioDSCPMark": "AF11"}, {"IstioDSCPMark": "AF11"}),
        ({"logPrefix": "", "externalNodesList": []}, {}),
        ({"nodeSelector": "all()"}, {}),
    ],
)
def test_a_field_becomes_the_text_of_its_setting(spec: dict[str, Any], texts: dict[str, str]) -> None:
    """Each field that is set gives one setting, under its own name and in its own units; others give none."""
    felix = FelixConfiguration.model_validate({"metadata": {"name": "x"}, "spec": spec})

    assert texts == felix_fields(felix)


def test_an_annotation_says_more_than_a_field() -> None:
    """`config.projectcalico.org/Name` is a setting as text, over the field and for settings without one."""
    felix = _felix({"vxlanPort": 4790}, VXLANPort="4791", DebugPanicAfter="5", ipv6support="no")

    assert felix_fields(felix) == {"VXLANPort": "4791", "DebugPanicAfter": "5", "ipv6support": "no"}


def test_texts_of_fields_are_read_again_as_the_same_values() -> None:
    """What an object says comes through its texts unchanged."""
    felix = _felix(
        {
            "reportingTTL": "1h0.001s",
            "failsafeInboundHostPorts": [{"protocol": "UDP", "port": 53}],
            "defaultEndpointToHostAction": "accept",
            "vxlanEnabled": False,
            "healthTimeoutOverrides": [{"name": "calc", "timeout": "0s"}],
        }
    )
    settings = resolve(global_=felix_fields(felix))

    assert not settings.problems
    assert settings["ReportingTTLSecs"] == Duration(3600 * 10**9 + 10**6)
    assert settings["FailsafeInboundHostPorts"] == (FailsafePort("udp", 53),)
    assert (settings["DefaultEndpointToHostAction"], settings["VXLANEnabled"]) == ("ACCEPT", False)
    assert settings["HealthTimeoutOverrides"] == {"calc": Duration(0)}


def test_every_field_is_a_setting() -> None:
    """No field but the selector is without meaning for the agent, none belongs to two settings."""
    aliases = {field.alias for name, field in _fields() if name != "node_selector"}
    named = [parameter.field for parameter in PARAMETERS.values() if parameter.field is not None]

    assert sorted(filter(None, aliases)) == sorted(named)


def _fields() -> list[tuple[str, Any]]:
    model = type(FelixConfiguration.model_validate({"metadata": {"name": "x"}}).spec)
    return list(model.model_fields.items())
