"""Rules over the templates of HostEndpoints in KubeControllersConfiguration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from muslin.resources.names import annotation_problems, label_problems
from muslin.resources.validation import Breach, ValidationRule, go

if TYPE_CHECKING:
    from muslin.resources.kube_controllers_configuration import HostEndpointTemplate

__all__ = ["TEMPLATE_RULES"]


def _labels(template: HostEndpointTemplate) -> Iterator[Breach]:
    for key, problem in label_problems(template.labels):
        yield Breach(f"label {key!r} = {template.labels[key]!r}: {problem}", ("labels", key))
    for annotation, problem in annotation_problems(template.annotations):
        yield Breach(problem, ("annotations", *((annotation,) if annotation else ())))


TEMPLATE_RULES: Final[tuple[ValidationRule, ...]] = (
    go("labels", "labels and annotations have qualified keys", _labels, fix="use a key such as example.org/role"),
)
