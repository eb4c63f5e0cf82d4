"""Which value of a setting is in force, of all that environment, file and datastore say.

Sources, strongest first: what the agent itself had to decide, environment, file, the node's FelixConfiguration, the one
that selects the node, the one for all, the default. Every source is looked at: a bad value in a weak source is told
even if a stronger one has a good one. A bad value does not make way for a weaker source: the default stands in its
place. `none` in any case means the zero value; an empty text means nothing was said. Source: calico.md 2.21 and 6.1.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from muslin.errors import Problem
from muslin.semantics.felix_kinds import FileUse
from muslin.semantics.felix_parameters import PARAMETERS, Flag, Parameter

__all__ = ["BadSetting", "Files", "Local", "Setting", "Settings", "Source", "resolve"]


class Source(enum.Enum):
    """Where a value comes from, as people name it."""

    DEFAULT = "default"
    GLOBAL = "FelixConfiguration default"
    SELECTOR = "FelixConfiguration that selects the node"
    NODE = "FelixConfiguration of the node"
    FILE = "configuration file"
    ENVIRONMENT = "environment"
    OVERRIDE = "the agent itself"

    @property
    def local(self) -> bool:
        """Whether it is known before any datastore is."""
        return self not in {Source.GLOBAL, Source.SELECTOR, Source.NODE}


_STRONGEST_FIRST: Final = (
    Source.OVERRIDE,
    Source.ENVIRONMENT,
    Source.FILE,
    Source.NODE,
    Source.SELECTOR,
    Source.GLOBAL,
)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Files:
    """What is asked of the machine's file system for settings that name files; by default all are there.

    Attributes:
        exists: whether something is at this path.
        program: path of a program from its name, None where there is none.
    """

    exists: Callable[[str], bool] = lambda _path: True
    program: Callable[[str], str | None] = lambda name: name


@dataclass(frozen=True, slots=True)
class Local:
    """What a machine says of its own agent: Mapping[name of a setting, text] from environment and file."""

    environment: Mapping[str, str] = field(default_factory=dict)
    file: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    files: Files = Files()


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force, and where it comes from; `text` is what was written there, None for a default."""

    value: Any
    source: Source = Source.DEFAULT
    text: str | None = None


@dataclass(frozen=True, slots=True)
class BadSetting:
    """A value that nobody can use.

    `fatal`: the reference's agent ends with it. Ours says so before it starts, and afterwards, when the value comes
    from the datastore, goes on with the default.
    """

    parameter: Parameter
    source: Source
    text: str
    reason: str
    fatal: bool

    @property
    def problem(self) -> Problem:
        """The same for people."""
        fix = "remove it: only environment and file may say it"
        if not self.parameter.flags & Flag.LOCAL or self.source.local:
            fix = f"write a {self.parameter.kind.name}; {self.parameter.default_text or 'nothing'} is the default"
        return Problem(f"{self.parameter.name} = {self.text!r}: {self.reason}", self._where(), fix)

    def _where(self) -> str:
        match self.source:
            case Source.ENVIRONMENT:
                return f"environment  FELIX_{self.parameter.name.upper()}"
            case Source.NODE | Source.SELECTOR | Source.GLOBAL if self.parameter.field is not None:
                return f"{self.source.value}  spec.{self.parameter.field}"
            case _:
                return f"{self.source.value}  {self.parameter.name}"


class Settings:
    """Every setting's value. Only those that somebody set cost anything to make.

    Attributes:
        problems: values that nobody can use, in the order of the sources.
        unknown: Mapping[name as written, text] of settings that we do not know, kept for whoever does.
    """

    def __init__(
        self,
        given: Mapping[str, Setting],
        hostname: str = "",
        problems: tuple[BadSetting, ...] = (),
        unknown: Mapping[str, str] = _NOTHING,
    ) -> None:
        self._given, self._hostname = given, hostname
        self.problems, self.unknown = problems, unknown

    def setting(self, name: str) -> Setting:
        """The value of a setting by its name in any case, and its source. Raises KeyError for no setting."""
        given = self._given.get(name.lower())
        if given is not None:
            return given
        parameter = PARAMETERS[name.lower()]
        return Setting(self._hostname if parameter.name == "FelixHostname" else parameter.default)

    def __getitem__(self, name: str) -> Any:
        return self.setting(name).value

    def __iter__(self) -> Iterator[str]:
        return iter(parameter.name for parameter in PARAMETERS.values())

    @property
    def fatal(self) -> tuple[BadSetting, ...]:
        """Problems that the reference's agent does not start with."""
        return tuple(problem for problem in self.problems if problem.fatal)


def resolve(
    local: Local = Local(),
    *,
    node: Mapping[str, str] = _NOTHING,
    selector: Mapping[str, str] = _NOTHING,
    global_: Mapping[str, str] = _NOTHING,
    override: Mapping[str, str] = _NOTHING,
) -> Settings:
    """All settings of one agent. Each source is Mapping[name of a setting in any case, text].

    Args:
        local: what the machine says.
        node: what the node's own FelixConfiguration says, and its Node.
        selector: what the FelixConfiguration says that selects the node.
        global_: what the FelixConfiguration for all says, and ClusterInformation.
        override: what the agent itself had to decide.
    """
    sources = (override, local.environment, local.file, node, selector, global_)
    given: dict[str, Setting] = {}
    unknown: dict[str, str] = {}
    problems: list[BadSetting] = []
    for source, texts in zip(_STRONGEST_FIRST, sources, strict=True):
        here: dict[str, Setting] = {}
        for name, text in texts.items():
            parameter = PARAMETERS.get(name.lower())
            if text == "":
                continue
            if parameter is None:
                unknown.setdefault(name, text)
                continue
            setting, problem = _read(parameter, source, text, local.files)
            if problem is not None:
                problems.append(problem)
            if setting is not None:
                here[name.lower()] = setting
        given = {**here, **given}
    return Settings(given, local.hostname, tuple(problems), unknown)


def _read(parameter: Parameter, source: Source, text: str, files: Files) -> tuple[Setting | None, BadSetting | None]:
    """A setting's value from one text, and what is wrong with the text. No value: the text does not count at all."""
    if parameter.flags & Flag.LOCAL and not source.local:
        return None, BadSetting(parameter, source, text, "the datastore cannot say it", fatal=False)
    if text.lower() == "none":
        if parameter.flags & Flag.NON_ZERO:
            reason = "non-zero field cannot be set to none"
            return Setting(parameter.default, source, text), BadSetting(parameter, source, text, reason, fatal=True)
        return Setting(parameter.kind.zero, source, text), None
    try:
        value = _value(parameter, text) if parameter.kind.file is None else _file(parameter, text, files)
    except ValueError as error:
        fatal = bool(parameter.flags & Flag.REQUIRED)
        return Setting(parameter.default, source, text), BadSetting(parameter, source, text, str(error), fatal=fatal)
    return Setting(value, source, text), None


@lru_cache(maxsize=1024)
def _value(parameter: Parameter, text: str) -> Any:
    return parameter.kind.parse(text)


def _file(parameter: Parameter, text: str, files: Files) -> str:
    if parameter.kind.file is FileUse.EXECUTABLE:
        found = files.program(text)
        if found is None:
            raise ValueError("missing file")
        return found
    if not files.exists(text):
        raise ValueError("failed to access file")
    return text
