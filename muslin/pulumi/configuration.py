"""A stack's configuration, typed: what the programs in `stacks/` read, with every mistake told at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import pulumi
from pulumi.runtime import config as given

from muslin.errors import Problem
from muslin.pulumi.arguments import Client, Gate, ReferenceNetworkArgs, is_password
from muslin.pulumi.refusals import Refused

__all__ = ["KEYS", "configured"]

KEYS: Final[Mapping[str, str]] = {
    "factsFile": "path of the facts, beside the program; cluster.yaml where unset",
    "facts": "the facts themselves, instead of a file",
    "stage": "which stage of a change that a running cluster must not make at once, from 1",
    "passwords": "secret: the password of the BGP sessions for each Secret that the facts name",
    "passwordNamespace": "namespace of these Secrets: where the agents run; kube-system where unset",
    "defaultPolicy": "whether policies are written as well; true where unset",
    "waitForSessions": "whether the mesh goes off only when sessions are up; true where unset",
    "waitSeconds": "how long to wait for them; 600 where unset",
    "shared": "objects that somebody else owns and of which only these fields are ours, as BGPConfiguration/default",
    "force": "objects whose fields are taken over from whoever manages them",
    "protectPools": "whether Pulumi refuses to delete pools; true where unset",
    "retain": "whether objects stay when the stack is destroyed: said before hand-over; false where unset",
    "lookFirst": "whether the cluster is asked beforehand for what would make a write fail; true where unset",
    "kubeconfig": "secret: text or path of the kubeconfig; KUBECONFIG or the usual file where unset",
    "context": "of the kubeconfig; its current one where unset",
    "qps": "requests a second; 500 where unset",
    "burst": "requests at once; 1000 where unset",
}
"""Mapping[key, what it means]: all that a stack can be told by `pulumi config set`."""

_Read = TypeVar("_Read")
_NEAR: Final = 0.85
"""How alike, from 0 to 1, a key is to the one that is probably meant: a letter or two of difference."""


def configured(blueprint: str) -> ReferenceNetworkArgs:
    """The arguments that the stack's configuration comes to.

    Args:
        blueprint: that the stack is for.

    Raises:
        Refused: values of a wrong type or that mean nothing, keys that are misspelt; all of them.
    """
    reading = _Reading(pulumi.Config())
    defaults = Client(), Gate()
    facts = reading.mapping("facts")
    args = ReferenceNetworkArgs(
        facts=facts if facts is not None else reading.text("factsFile") or "cluster.yaml",
        blueprint=blueprint,
        stage=reading.number("stage", 0) or None,
        passwords=reading.passwords(),
        password_namespace=reading.text("passwordNamespace") or "kube-system",
        default_policy=reading.truth("defaultPolicy", default=True),
        gate=Gate(reading.number("waitSeconds", defaults[1].timeout_s))
        if reading.truth("waitForSessions", default=True)
        else None,
        shared=reading.texts("shared"),
        force=reading.texts("force"),
        protect_pools=reading.truth("protectPools", default=True),
        retain=reading.truth("retain", default=False),
        look_first=reading.truth("lookFirst", default=True),
        client=Client(
            kubeconfig=reading.text("kubeconfig") or None,
            context=reading.text("context") or None,
            qps=reading.number("qps", defaults[0].qps),
            burst=reading.number("burst", defaults[0].burst),
        ),
    )
    if reading.problems:
        raise Refused(reading.problems)
    return args


def _misspelt(project: str) -> Iterator[Problem]:
    """Keys that are nearly ours: a program may read others of its own, and what is misspelt would be without effect."""
    ours = {_plain(key): key for key in KEYS}
    for name in sorted({*given.CONFIG.get(), *given.get_config_env()}):
        namespace, _, key = name.rpartition(":")
        if namespace != project or key in KEYS:
            continue
        for plain in difflib.get_close_matches(_plain(key), ours, 1, _NEAR):
            meant = ours[plain]
            fix = f"pulumi config rm {key}; pulumi config set {meant} ...: {KEYS[meant]}"
            yield Problem(f"there is no {key}; {meant} is probably meant", name, fix)


def _plain(key: str) -> str:
    """Without what differs between ways to write it: `wait_for_sessions`, `wait-for-sessions`, `WaitForSessions`."""
    return key.replace("_", "").replace("-", "").lower()


class _Reading:
    """Values of the configuration; mistakes are kept, and the default stands in."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self.problems: list[Problem] = list(_misspelt(config.name))

    def _read(self, key: str, how: Callable[[str], _Read | None], meant: str) -> _Read | None:
        try:
            return how(key)
        except (pulumi.ConfigTypeError, ValueError) as error:
            del error  # its text has the value, which may be a secret
            fix = f"pulumi config set {key} ...: {KEYS[key]}"
            self.problems.append(Problem(f"{key} is not {meant}", f"{self._config.name}:{key}", fix))
            return None

    def text(self, key: str) -> str | None:
        return self._config.get(key)

    def truth(self, key: str, *, default: bool) -> bool:
        read = self._read(key, self._config.get_bool, "true or false")
        return default if read is None else read

    def number(self, key: str, default: int) -> int:
        read = self._read(key, self._config.get_int, "a whole number")
        if read is not None and read < 1:
            self.problems.append(Problem(f"{key} is below 1", f"{self._config.name}:{key}", f"{key}: {KEYS[key]}"))
        return default if read is None else read

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        read = self._read(key, self._config.get_object, "a mapping")
        if read is not None and not isinstance(read, Mapping):
            self.problems.append(Problem(f"{key} is not a mapping", f"{self._config.name}:{key}", KEYS[key]))
            return {}
        return read

    def texts(self, key: str) -> tuple[str, ...]:
        read = self._read(key, self._config.get_object, "a list of texts")
        if read is None:
            return ()
        if not isinstance(read, list) or not all(isinstance(each, str) for each in read):
            self.problems.append(Problem(f"{key} is not a list of texts", f"{self._config.name}:{key}", KEYS[key]))
            return ()
        return tuple(read)

    def passwords(self) -> Mapping[str, pulumi.Input[str]]:
        """Each as a secret, whatever the configuration says of itself: a plain value is hidden as well."""
        read = self.mapping("passwords") or {}
        if not all(is_password(each) for each in read.values()):
            where = f"{self._config.name}:passwords"
            what = "a password is not a text of 1 to 80 bytes"
            self.problems.append(Problem(what, where, KEYS["passwords"]))
            return {}
        return {name: pulumi.Output.secret(each) for name, each in read.items()}
