"""The commands of docs/pulumi.md, one after the other, and who can carry them out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["commands", "sections"]

_PAGE = Path(__file__).parents[2] / "docs" / "pulumi.md"


def sections() -> dict[str, list[str]]:
    """Mapping[heading, its command lines]; `a && b` is two."""
    text = _PAGE.read_text("utf-8")
    parts = re.split(r"^##+ (.*)$", text, flags=re.MULTILINE)[1:]
    return {heading: list(_lines(body)) for heading, body in zip(parts[::2], parts[1::2], strict=True)}


def commands() -> list[str]:
    """All of them, in order."""
    return [line for lines in sections().values() for line in lines]


def _lines(body: str) -> Iterator[str]:
    for block in re.findall(r"^```console\n(.*?)^```", body, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield from (part.strip() for part in line.removeprefix("$ ").split("&&"))
