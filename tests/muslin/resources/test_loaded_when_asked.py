"""The package of kinds costs nothing until somebody asks for a kind."""

from __future__ import annotations

import subprocess
import sys

from muslin import resources


def test_a_key_does_not_load_the_models() -> None:
    """Datastores need `Key` alone; pydantic and the kinds come with the first model."""
    code = "import sys; import muslin.resources.keys; print('pydantic' in sys.modules)"
    code += "; from muslin.resources import Tier; print('pydantic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout.split() == ["False", "True"]


def test_every_name_that_is_promised_is_there() -> None:
    """What `__all__` lists can be had, under its own name."""
    assert [name for name in resources.__all__ if not hasattr(resources, name)] == []
