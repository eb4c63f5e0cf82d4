"""An agent reads its environment and its file before anything else, and does not start with what can't be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from muslin.datastore.settings import EmbeddedSettings
from muslin.errors import BadInput
from runtime.main import Settings, main


def _refusal(folder: Path) -> BadInput:
    settings = Settings(
        "a", EmbeddedSettings(str(folder / "datastore")), folder / "run", felix_file=folder / "felix.cfg"
    )
    with pytest.raises(BadInput) as refused:
        main(settings)
    assert not (folder / "run").exists()
    return refused.value


def test_a_fatal_value_in_the_environment_ends_the_agent_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is made or changed; the message names variable, value and what it may be."""
    monkeypatch.setenv("FELIX_chaininsertmode", "sideways")
    (problem,) = _refusal(tmp_path).problems

    assert problem.what == "ChainInsertMode = 'sideways': it is none of insert, append"
    assert problem.where == "environment  FELIX_CHAININSERTMODE"


def test_the_file_is_read_too(tmp_path: Path) -> None:
    """A fatal value in felix.cfg is told with its place; settings that contradict each other as well."""
    (tmp_path / "felix.cfg").write_text("[global]\nInterfacePrefix = none\nTyphaCN = x\n", encoding="utf-8")
    problems = _refusal(tmp_path).problems

    assert problems[0].where == "configuration file  InterfacePrefix"
    assert "Felix-Typha TLS" in problems[1].what


def test_a_file_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    """A line that nobody can read, and bytes that are no text, end the agent too."""
    file = tmp_path / "felix.cfg"
    file.write_text("[global]\nwhat is this\n", encoding="utf-8")
    assert _refusal(tmp_path).problems[0].where == f"{file}:2"

    file.write_bytes(b"\xff\xfe=")
    assert "it can't be read" in _refusal(tmp_path).problems[0].what
