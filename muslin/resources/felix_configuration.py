"""FelixConfiguration: settings of the agent on nodes; `default`, `node.<name>`, or by node selector."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import Resource
from muslin.resources.felix_bpf import FelixBPF
from muslin.resources.felix_checks import FELIX_OBJECT_RULES, FELIX_RULES
from muslin.resources.felix_dataplane import FelixDataplane
from muslin.resources.felix_overlay import FelixOverlay
from muslin.resources.felix_process import FelixProcess
from muslin.resources.felix_tables import FelixTables
from muslin.resources.felix_values import setting
from muslin.resources.fields import SelectorText
from muslin.resources.validation import ValidationRule

__all__ = ["FelixConfiguration", "FelixConfigurationSpec"]


class FelixConfigurationSpec(FelixProcess, FelixDataplane, FelixTables, FelixOverlay, FelixBPF):
    """Every setting; unset ones fall to a less special object, then to the default."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = FELIX_RULES

    node_selector: SelectorText | None = setting("Nodes that the object is for, if its name says neither all nor one.")


class FelixConfiguration(Resource):
    """Settings of agents; cluster-scoped."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = FELIX_OBJECT_RULES

    kind: Literal["FelixConfiguration"] = "FelixConfiguration"
    spec: FelixConfigurationSpec = FelixConfigurationSpec()
