"""`datastore migrate import`: what `export` printed into a datastore that has nothing of Calico's yet."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from muslin.cli.client import Client
from muslin.cli.datastore_export import EXPORTED_KINDS, IPAM_PARTS, SEPARATOR
from muslin.cli.documents import Given, objects_of_text
from muslin.cli.options import Reach, reaching
from muslin.cli.outcome import Outcome, report_written
from muslin.cli.scope import key_of
from muslin.cli.stored import mapping_at, mappings_at, text_at
from muslin.cli.wording import Ended, reference_text
from muslin.cli.write import in_order
from muslin.datastore.initialize import BUILT_IN_TIERS, CLUSTER_INFORMATION, ensure_initialized
from muslin.datastore.lock import set_ready
from muslin.datastore.protocol import AlreadyExists, Datastore, Json, NotFound
from muslin.datastore.settings import DatastoreSettings, KubernetesSettings
from muslin.errors import MuslinError, Problem
from muslin.resources.keys import Key

__all__ = ["import_"]

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SERVED_WITHIN_S, _LOOK_AGAIN_S = 30.0, 0.1
"""A definition is served a moment after it is there; the API server tells it in the definition's status."""


@click.command("import")
@click.option("-f", "--filename", metavar="FILE", required=True, help="What `export` printed; - for standard input.")
@reaching
def import_(filename: str, reach: Reach) -> None:
    r"""Write an exported datastore into one that has nothing of Calico's, and leave that one locked.

    Called as calicoctl the target is a Kubernetes datastore; as `muslin` it may be any.

    \b
    muslin datastore migrate import -f everything.yaml
    muslin datastore migrate unlock

    Exit status 1 if there is something already, or an object could not be written; 2 if the file is not an export.
    """
    resources, information, addresses = _parts(filename)
    asyncio.run(_import(reach, resources, information, addresses))
    click.echo("Datastore information successfully imported. Please refer to the datastore migration documentation "
               "for next steps.")  # fmt: skip


def _parts(filename: str) -> tuple[list[Given], Mapping[str, Any], Mapping[str, Any]]:
    shown = "standard input" if filename == "-" else filename
    try:
        text = sys.stdin.buffer.read() if filename == "-" else Path(filename).read_bytes()
        parts = re.split(rf"(?m)^{SEPARATOR}", text.decode("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        line = f"Error while reading migration file: open {filename}: {reason}"
        raise Ended(
            line, Problem(f"the file can't be read: {reason}", shown, "give what export printed"), input_=True
        ) from error
    if len(parts) != 3:
        line = f"Error while reading migration file: Imported file: {shown} is improperly formatted. "
        line += "Try recreating with 'calicoctl export'"
        what = f"the file has {len(parts)} parts with === between them, and not three"
        raise Ended(line, Problem(what, shown, "give what `datastore migrate export` printed"), input_=True)
    return objects_of_text(parts[0].encode(), shown), _json(parts[1], shown, 2), _json(parts[2], shown, 3)


def _json(text: str, file: str, part: int) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        problem = Problem(f"part {part} is not JSON: {error}", file, "give what `datastore migrate export` printed")
        raise Ended(f"Error reading exported cluster info for migration: {error}", problem, input_=True) from error
    return value if isinstance(value, Mapping) else {}


async def _import(
    reach: Reach, resources: list[Given], information: Mapping[str, Any], addresses: Mapping[str, Any]
) -> None:
    settings = reach.settings()
    if reach.calicoctl and not isinstance(settings, KubernetesSettings):
        line = "Invalid datastore type: etcdv3 to import to for datastore migration. Datastore type must be kubernetes"
        problem = Problem("the target is not a Kubernetes datastore", "DATASTORE_TYPE", "use `muslin` for others")
        raise Ended(line, problem, input_=True)
    async with reach.store(gate=False) as store:
        await _serve_kinds(store)
        await _refuse_full(store)
        try:
            await ensure_initialized(store)
            await set_ready(store, ready=False)
        except MuslinError as error:
            line = f"Error while attempting to lock the datastore for import: {reference_text(error)}"
            raise Ended(line, error.problems) from error
        report_written("apply", await _apply(store, settings, resources))
        await _information(store, information)
        click.echo("Importing IPAM resources")
        _report_addresses(await _addresses(store, addresses))


async def _serve_kinds(store: Datastore) -> None:
    """Make a Kubernetes that has none of Calico's definitions serve our kinds, and wait until it does."""
    client = getattr(store, "client", None)
    if client is None:
        return
    from muslin.resources.crds import definitions  # noqa: PLC0415 - only a new cluster needs them

    groups = {text_at(each, "name") for each in mappings_at(await client.get("/apis"), "groups")}
    if groups & {"projectcalico.org", "crd.projectcalico.org"}:
        return
    paths = []
    for definition in definitions():
        paths.append(f"{_DEFINITIONS}/{definition['metadata']['name']}")
        await client.apply(paths[-1], definition, field_manager="muslin", force=True)
    until = time.monotonic() + _SERVED_WITHIN_S
    while paths:
        conditions = mappings_at(await client.get(paths[-1]), "status", "conditions")
        if any(text_at(each, "type") == "Established" and text_at(each, "status") == "True" for each in conditions):
            paths.pop()
        elif time.monotonic() > until:
            line = "Error applying the CRDs necessary to begin datastore import: they are not served"
            raise Ended(line, Problem("the API server does not serve the definitions", paths[-1], "see its log"))
        else:
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _refuse_full(store: Datastore) -> None:
    """What is there already would be mixed with what comes. Raises Ended."""
    for kind in (*EXPORTED_KINDS, *IPAM_PARTS.values(), "IPAMConfiguration"):
        if kind == "Node":
            continue
        for entry in (await store.list(kind)).entries:
            own = kind == "Tier" and entry.key.name in BUILT_IN_TIERS
            of_kubernetes = entry.key.name.startswith(("knp.default.", "kcnp."))
            if own or of_kubernetes:
                continue
            found = "Found existing IPAM resources" if kind in IPAM_PARTS.values() else f"Found existing Calico {kind}"
            line = f"Datastore already has Calico resources: {found} resource. "
            line += "Clear out all Calico resources by deleting all Calico CRDs."
            fix = "import into a datastore that has nothing of Calico's"
            raise Ended(line, Problem(f"there is {entry.key} already", str(entry.key), fix))


async def _apply(store: Datastore, settings: DatastoreSettings, resources: list[Given]) -> Outcome:
    client, outcome = Client(store, settings), Outcome()
    for each in in_order(resources):
        kind = str(each.value.get("kind"))
        try:
            key = key_of(each, None)
            if key.kind == "Tier" and key.name in BUILT_IN_TIERS:
                outcome.done.append(await client.update(each, key))
            else:
                outcome.done.append(await client.apply(each, key))
        except NotFound as error:
            if error.key.kind == "Node":
                click.echo(f"[WARNING] Attempted to import node {error.key.name} from etcd that references a "
                           "nonexistent Kubernetes node. Skipping that node.")  # fmt: skip
                continue
            outcome.errors.append(error)
        except MuslinError as error:
            outcome.errors.append(error)
        outcome.kinds.append(kind)
    return outcome


async def _information(store: Datastore, exported: Mapping[str, Any]) -> None:
    """The cluster keeps its identity: GUID and version come along, the lock and the type are the new store's own."""
    found = await store.get(CLUSTER_INFORMATION)
    spec = dict(mapping_at(found.value, "spec"))
    for name in ("clusterGUID", "calicoVersion"):
        if text_at(exported, "spec", name):
            spec[name] = text_at(exported, "spec", name)
    await store.update(CLUSTER_INFORMATION, {**found.value, "spec": spec}, found.revision)


async def _addresses(store: Datastore, parts: Mapping[str, Any]) -> Outcome:
    from muslin.conversion.etcd import from_etcd  # noqa: PLC0415 - only this verb pays for it

    outcome = Outcome()
    pairs = [pair for part in IPAM_PARTS for pair in mappings_at(parts, part)]
    pairs += [mapping_at(parts, "config")] if mapping_at(parts, "config") else []
    for pair in pairs:
        path = text_at(pair, "Key")
        read: tuple[Key, Json] | None = from_etcd(path, pair.get("Value"))
        outcome.kinds.append("IPAM")
        if read is None:
            problem = Problem(f"{path!r} is no key of address management", path, "leave the export as it was printed")
            outcome.errors.append(Ended(f"error trying to create {path}", problem, input_=True))
            continue
        try:
            outcome.done.append((await store.create(*read)).value)
        except (AlreadyExists, MuslinError) as error:
            outcome.errors.append(error)
    return outcome


def _report_addresses(outcome: Outcome) -> None:
    if outcome.errors:
        told = " ".join(reference_text(error) for error in outcome.errors)
        if outcome.done:
            click.echo(f"Partial success: applied the first {len(outcome.done)} out of {len(outcome.kinds)} resources:")
        raise Ended(f"Hit error(s): [{told}]", [problem for error in outcome.errors for problem in error.problems])
    click.echo(f"Successfully applied {len(outcome.done)} IPAM resource(s)")
