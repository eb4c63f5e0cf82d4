"""Options for all tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-expected` rewrites the expected files of scenarios and refusals; review them as a diff."""
    parser.addoption("--update-expected", action="store_true", help="rewrite expected files instead of comparing")
