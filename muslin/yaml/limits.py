"""How much one text may ask of us, checked while it is read and before anything is built."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one text; the defaults hold the reading of any text to about a second and 256 MiB.

    Rule: reliability.md R14. `yaml.load` with PyYAML's C composer dies of SIGSEGV on 80 kB of `[`; a few hundred bytes
    of nested aliases expand to gigabytes.

    Args:
        text_bytes: of the whole text in UTF-8 (of characters, where text was handed over as `str`).
        documents: in one text, empty ones included.
        depth: of mappings and sequences in each other, aliases expanded.
        aliases: uses of anchors in one text.
        nodes: scalars, mappings and sequences in one text, aliases expanded.
        scalar_characters: of one scalar.
        problems: told at once; reading stops there.
    """

    text_bytes: int = 8 * 1024 * 1024
    documents: int = 20_000
    depth: int = 64
    aliases: int = 100
    nodes: int = 300_000
    scalar_characters: int = 1024 * 1024
    problems: int = 20
