"""The part of the operator's API that we write, as its documentation has it: what it does not know is refused."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from muslin.selectors import parse

__all__ = ["APIServer", "Installation"]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, populate_by_name=False)


def _prefix(text: str) -> str:
    assert str(ip_network(text)) == text
    return text


def _selector(text: str) -> str:
    parse(text)
    return text


class _Metadata(_Part):
    name: Literal["default"]


class _Ipam(_Part):
    type: Literal["Calico", "HostLocal", "AmazonVPC", "AzureVNET"]


class _Cni(_Part):
    type: Literal["Calico", "GKE", "AmazonVPC", "AzureVNET"]
    ipam: _Ipam


class _Pool(_Part):
    name: str
    cidr: Annotated[str, AfterValidator(_prefix)]
    encapsulation: Literal["IPIPCrossSubnet", "IPIP", "VXLAN", "VXLANCrossSubnet", "None"]
    nat_outgoing: Literal["Enabled", "Disabled"] = Field(alias="natOutgoing")
    node_selector: Annotated[str, AfterValidator(_selector)]
    block_size: int
    disable_bgp_export: bool = Field(alias="disableBGPExport", default=False)

    @model_validator(mode="after")
    def _fits(self) -> _Pool:
        """As the operator's own validation asks: block sizes, and no IP-in-IP for IPv6."""
        prefix = ip_network(self.cidr)
        low, high = (20, 32) if prefix.version == 4 else (116, 128)
        assert low <= self.block_size <= high
        assert prefix.prefixlen <= self.block_size
        assert prefix.version == 4 or not self.encapsulation.startswith("IPIP")
        return self


class _Autodetection(_Part):
    cidrs: list[Annotated[str, AfterValidator(_prefix)]] = Field(min_length=1)


class _Network(_Part):
    bgp: Literal["Enabled", "Disabled"]
    mtu: int = Field(ge=576, le=65535)
    ip_pools: list[_Pool] = Field(min_length=1, max_length=25)
    linux_dataplane: Literal["Iptables", "BPF", "VPP", "Nftables"] | None = None
    node_address_autodetection_v4: _Autodetection | None = Field(alias="nodeAddressAutodetectionV4", default=None)
    node_address_autodetection_v6: _Autodetection | None = Field(alias="nodeAddressAutodetectionV6", default=None)

    @model_validator(mode="after")
    def _routed(self) -> _Network:
        """Packets that travel without VXLAN need BGP; names and ranges are told once."""
        plain = [each for each in self.ip_pools if not each.encapsulation.startswith("VXLAN")]
        assert self.bgp == "Enabled" or not plain
        assert len({each.name for each in self.ip_pools}) == len({each.cidr for each in self.ip_pools})
        assert len({each.name for each in self.ip_pools}) == len(self.ip_pools)
        return self


class _PodSpec(_Part):
    affinity: dict[str, Any]


class _Template(_Part):
    spec: _PodSpec


class _DeploymentSpec(_Part):
    template: _Template


class _Deployment(_Part):
    spec: _DeploymentSpec


class _Spec(_Part):
    cni: _Cni
    calico_network: _Network
    control_plane_replicas: int | None = Field(default=None, ge=1)
    typha_deployment: _Deployment | None = None


class Installation(_Part):
    """`operator.tigera.io/v1`, at most one, named default."""

    api_version: Literal["operator.tigera.io/v1"]
    kind: Literal["Installation"]
    metadata: _Metadata
    spec: _Spec


class APIServer(_Part):
    """`operator.tigera.io/v1`, named default; we say nothing of how it is deployed."""

    api_version: Literal["operator.tigera.io/v1"]
    kind: Literal["APIServer"]
    metadata: _Metadata
    spec: dict[str, Any] = Field(max_length=0)
