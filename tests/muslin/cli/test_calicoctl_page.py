"""What `docs/calicoctl.md` tells calicoctl's users is so."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import click

from muslin.cli.ctl import ctl
from muslin.cli.get import get
from muslin.cli.verbs import CALICO_VERBS
from muslin.datastore.embedded import EmbeddedDatastore
from muslin.resources.keys import Key
from tests.muslin.cli.calico import Calico

_PAGE = (Path(__file__).parents[3] / "docs/calicoctl.md").read_text("utf-8")
_ROWS = re.findall(r"^\| (`[a-z` ]+`) \| (.*) \|$", _PAGE, re.MULTILINE)


def _below(command: click.Command | None) -> set[str]:
    """Names of flags and of verbs below, at any depth."""
    assert command is not None
    names = {option for parameter in command.params for option in parameter.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            names |= {name} | _below(command.get_command(context, name))
    return names


def test_every_verb_stands_in_the_table() -> None:
    """No verb is missing, and none is told that is not there."""
    told = {verb for names, _ in _ROWS for verb in re.findall(r"[a-z]+", names)}

    assert told == set(CALICO_VERBS)


def test_flags_and_verbs_below_are_there() -> None:
    """Every flag and every verb below a verb that the table names exists, for at least one verb of its row."""
    missing = []
    for names, text in _ROWS:
        known = {
            word for verb in re.findall(r"[a-z]+", names) for word in _below(ctl.get_command(click.Context(ctl), verb))
        }
        known |= {"ps", "wide", "yaml", "json", "lock", "unlock", "export", "import", "migrate", "-"}
        words = [word for span in re.findall(r"`([^`]+)`", text) for word in span.split()]
        missing += [word for word in words if word.rstrip("=") not in known and not word.endswith("=")]

    assert missing == []


def test_formats_of_the_table_are_formats(calico: Calico) -> None:
    """Each format that the page names is taken."""
    row = next(text for names, text in _ROWS if names == "`get`")
    for form in ("ps", "wide", "yaml", "json", "custom-columns=NAME", "go-template={{len .}}"):
        assert form.partition("=")[0] in row
        assert calico("get", "tiers", "-o", form).status == 0
    assert "--export" in {option for parameter in get.params for option in parameter.opts}


async def _put(value: dict[str, Any]) -> None:
    store = EmbeddedDatastore.open(os.environ["MUSLIN_DATASTORE"])
    try:
        await store.create(Key(value["kind"], value["metadata"]["name"]), value)
    finally:
        await store.close()


def test_an_object_that_breaks_a_rule_can_be_labelled_and_put_right(calico: Calico) -> None:
    """What is wrong already keeps nobody from making it better; what makes it worse is refused."""
    spec = {"cidr": "10.48.0.0/16", "ipipMode": "Always", "vxlanMode": "Always"}
    asyncio.run(
        _put({"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "odd"}, "spec": spec})
    )
    worse = calico("patch", "pool", "odd", "-p", '{"spec":{"blockSize":99}}')
    labelled = calico("label", "pool", "odd", "a=b")
    better = calico("patch", "pool", "odd", "-t", "merge", "-p", '{"spec":{"ipipMode":"Never"}}')

    assert (worse.status, labelled.status, better.status) == (2, 0, 0), worse.err + labelled.err + better.err
    assert calico.get("pool", "odd")["spec"]["ipipMode"] == "Never"
