"""The registry of kinds says what stands in the models, without importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from muslin.resources import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_registry_agrees_with_the_models(kind: str) -> None:
    """Name and scope of a kind are those of its model."""
    model = KINDS[kind].model

    assert model.model_fields["kind"].default == kind == model.__name__
    assert KINDS[kind].namespaced is model.NAMESPACED


def test_reading_one_kind_imports_one_kind() -> None:
    """Whoever reads a pool does not wait for the other kinds."""
    program = (
        "import sys; from muslin.resources import KINDS, load; "
        "load({'apiVersion': 'projectcalico.org/v3', 'kind': 'IPPool', 'metadata': {'name': 'example'}, "
        "'spec': {'cidr': '192.0.2.0/24'}}); "
        "print(*{info.module for info in KINDS.values() if f'muslin.resources.{info.module}' in sys.modules})"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed.split() == ["ip_pool"]
