"""FelixConfiguration: settings of the agent on nodes; `default`, `node.<name>`, or by node selector."""

from __future__ import annotations

from typing import Literal

from muslin.resources.base import Resource
from muslin.resources.felix_bpf import FelixBPF
from muslin.resources.felix_dataplane import FelixDataplane, FelixOverlay
from muslin.resources.felix_process import FelixProcess
from muslin.resources.fields import SelectorText

__all__ = ["FelixConfiguration", "FelixConfigurationSpec"]


class FelixConfigurationSpec(FelixProcess, FelixDataplane, FelixOverlay, FelixBPF):
    """Every setting; unset ones fall to a less special object, then to the default."""

    node_selector: SelectorText | None = None


class FelixConfiguration(Resource):
    """Settings of agents; cluster-scoped."""

    kind: Literal["FelixConfiguration"] = "FelixConfiguration"
    spec: FelixConfigurationSpec = FelixConfigurationSpec()
