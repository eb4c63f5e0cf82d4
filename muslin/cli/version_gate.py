"""Whether this program and the cluster speak of the same release of Calico."""

from __future__ import annotations

from typing import Final

import click

from muslin.cli.printing import printable
from muslin.cli.stored import text_at
from muslin.cli.wording import Ended, reference_text
from muslin.datastore.protocol import Datastore, Forbidden, NotFound
from muslin.errors import Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["CALICO_VERSION", "pass_gate"]

CALICO_VERSION: Final = "v3.33.0"
"""The release whose API, files and words these are: what `calicoctl version` tells, and the gate compares."""

_OVERRIDE = "Use --allow-version-mismatch to override."


async def pass_gate(store: Datastore, *, strict: bool) -> None:
    """Compare ClusterInformation's version with ours; a store that does not answer or knows none lets everybody pass.

    Args:
        store: the cluster's.
        strict: a difference ends the command, as it does in calicoctl; otherwise it is a warning.

    Raises:
        Ended: strict, and the versions differ or must not be read.
    """
    try:
        value = (await store.get(Key("ClusterInformation", "default"))).value
    except (NotFound, Unavailable):
        return
    except Forbidden as error:
        if not strict:
            return
        line = f"unable to get Cluster Information to verify version mismatch: {reference_text(error)}\n{_OVERRIDE}"
        raise Ended(line, error.problems) from error
    cluster = _release(text_at(value, "spec", "calicoVersion"))
    if not cluster or cluster == _release(CALICO_VERSION):
        return
    if not strict:
        told = f"warning: the cluster says that it runs Calico {cluster}; this program speaks that of {CALICO_VERSION}"
        click.echo(printable(told), err=True)
        return
    raise Ended(
        f"version mismatch.\nClient Version:   {CALICO_VERSION}\nCluster Version:  {cluster}\n{_OVERRIDE}",
        Problem(
            f"the cluster is of Calico {cluster}, this program of {CALICO_VERSION}",
            "ClusterInformation default  spec.calicoVersion",
            "use --allow-version-mismatch; as `muslin` the same verbs only warn",
        ),
    )


def _release(version: str) -> str:
    return version.removeprefix("v").split("-")[0]
