"""ClusterInformation `default`: identity of the cluster, and whether the datastore may be used."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import ONLY_DEFAULT, NameForm, Resource
from muslin.resources.fields import Bool, Text
from muslin.resources.part import Part

__all__ = ["ClusterInformation", "ClusterInformationSpec"]


class ClusterInformationSpec(Part):
    """Facts about the cluster; `datastore_ready` false makes agents stop accepting work."""

    cluster_guid: Text | None = None
    cluster_type: Text | None = None
    calico_version: Text | None = None
    variant: Text | None = None
    datastore_ready: Bool | None = None


class ClusterInformation(Resource):
    """The one object that says whose cluster this is; cluster-scoped."""

    NAME_FORM: ClassVar[NameForm] = ONLY_DEFAULT

    kind: Literal["ClusterInformation"] = "ClusterInformation"
    spec: ClusterInformationSpec = ClusterInformationSpec()
