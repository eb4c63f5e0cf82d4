"""`cluster diags`: one archive of what a cluster says of Calico, collected with kubectl as its user may."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from muslin.cli.options import Reach, reaching
from muslin.cli.printing import printable
from muslin.cli.stored import mapping_at, mappings_at, text_at
from muslin.cli.verbs import LazyGroup
from muslin.cli.wording import Ended
from muslin.datastore.settings import KubernetesSettings
from muslin.errors import BadInput, Problem

__all__ = ["Command", "cluster", "commands_for", "diags"]

_COMMAND_S: Final = 120.0
_RESOURCES: Final = (
    "configmaps", "daemonsets", "deployments", "endpointslices", "jobs", "pods", "pv", "pvc", "sc", "services",
    "statefulsets", "networkpolicies.networking.k8s.io",
)  # fmt: skip
_NOT_NAMESPACED: Final = ("nodes", "namespaces")
_IN_NODES: Final = {
    "iptables-legacy-save": "iptables-legacy-save -c",
    "iptables-nft-save": "iptables-nft-save -c",
    "nft-ruleset": "nft list ruleset",
    "ip-route": "ip route show table all",
    "ip-6-route": "ip -6 route show table all",
    "ip-rule": "ip rule",
    "ip-addr": "ip addr",
    "ip-link": "ip -d link",
    "ip-neigh": "ip neigh",
    "ipset-list": "ipset list",
    "conntrack": "conntrack -L",
    "tc-qdisc": "tc qdisc show",
    "cni-log": "cat /var/log/calico/cni/cni.log",
}
"""Mapping[file, what runs inside calico-node]: reads only."""
_SINCE = re.compile(r"[0-9]{1,6}[smh]")


@click.command(cls=LazyGroup, verbs={"diags": ("muslin.cli.cluster:diags", "Collect diagnostics of the cluster.")})
def cluster() -> None:
    r"""Look at a cluster as a whole.

    \b
    muslin cluster diags --since 2h
    """


@click.command()
@click.option("--since", default="0s", metavar="DURATION", help="Only logs newer than this, such as 30m or 2h.")
@click.option("--max-logs", type=click.IntRange(0), default=5, show_default=True, help="Pods of one workload at most.")
@click.option("--max-parallelism", type=click.IntRange(1, 100), default=10, show_default=True, help="kubectls at once.")
@click.option("--focus-nodes", default="", metavar="NODE,NODE", help="Pods of these nodes first.")
@click.option("--skip-temp-dir-cleanup", is_flag=True, help="Leave the collected files where they were collected.")
@reaching
def diags(
    *, since: str, max_logs: int, max_parallelism: int, focus_nodes: str, skip_temp_dir_cleanup: bool, reach: Reach
) -> None:
    r"""Collect Calico's objects, Kubernetes' objects around them, and logs into calico-diagnostics-TIME.tar.gz here.

    Needs kubectl. What can't be collected is told in the archive in its place.

    \b
    muslin cluster diags --since 2h --focus-nodes node1

    Exit status 0 once the archive is written.
    """
    if not _SINCE.fullmatch(since):
        what = f"invalid time unit in --since: {since}"
        raise Ended(what, Problem(what, "--since", "a number with s, m or h, such as 30m"), input_=True)
    if shutil.which("kubectl") is None:
        line = "missing dependency: kubectl is not installed"
        raise Ended(line, Problem("kubectl is not there", "PATH", "install it; it is what asks the cluster"))
    kubectl = ("kubectl", *_kubectl_flags(reach))
    click.echo("==== Begin collecting diagnostics. ====")
    folder = Path(tempfile.mkdtemp())
    click.echo(f"Created temporary directory: {folder}")
    name = f"calico-diagnostics-{datetime.now(UTC):%Y%m%d_%H%M%S}"
    try:
        commands = [*commands_for(kubectl), *_of_pods(kubectl, since, max_logs, focus_nodes.split(","))]
        with ThreadPoolExecutor(max_parallelism) as pool:
            for told in pool.map(lambda command: _run(command, folder / name), commands):
                click.echo(printable(told))
        archive = Path.cwd() / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder / name, name)
    finally:
        if not skip_temp_dir_cleanup:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo("\n==== Producing a diagnostics bundle. ====")
    click.echo(f"Diagnostic bundle available at {archive}")


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and below the archive's folder the file for what it prints."""

    words: tuple[str, ...]
    file: str


def commands_for(kubectl: Sequence[str]) -> Iterator[Command]:
    """What is asked of every cluster: Calico's objects and Kubernetes' own, each to be read by programs and people."""
    for kind in _RESOURCES:
        yield from _both(kubectl, kind, ("--all-namespaces",), f"cluster/{kind}")
    for kind in _NOT_NAMESPACED:
        yield from _both(kubectl, kind, (), f"cluster/{kind}")
    definitions = _answer((*kubectl, "get", "customresourcedefinitions", "-o", "name"))
    for line in definitions.split():
        kind = line.rpartition("/")[2]
        if "projectcalico" in kind or "tigera" in kind:
            yield from _both(kubectl, kind, ("--all-namespaces",), f"cluster/calico/{kind}")


def _both(kubectl: Sequence[str], kind: str, flags: tuple[str, ...], file: str) -> Iterator[Command]:
    for form, suffix in (("yaml", "yaml"), ("wide", "txt")):
        yield Command((*kubectl, "get", kind, *flags, "-o", form), f"{file}.{suffix}")


def _of_pods(kubectl: Sequence[str], since: str, max_logs: int, focus: Sequence[str]) -> Iterator[Command]:
    """Logs and descriptions of pods of Calico's workloads, those of the nodes in focus first."""
    pods = _listed((*kubectl, "get", "pods", "--all-namespaces", "-o", "json"))
    chosen: dict[tuple[str, str], int] = {}
    for pod in sorted(pods, key=lambda each: (text_at(each, "spec", "nodeName") not in focus, _name(each))):
        namespace, name = text_at(pod, "metadata", "namespace"), _name(pod)
        owner = (namespace, _workload(pod))
        if not ("calico" in namespace or "tigera" in namespace) or chosen.get(owner, 0) >= max_logs:
            continue
        chosen[owner] = chosen.get(owner, 0) + 1
        place = f"nodes/{text_at(pod, 'spec', 'nodeName') or 'unscheduled'}/{namespace}/{name}"
        base = (*kubectl, "-n", namespace)
        logs = (*base, "logs", f"--since={since}", name, "--all-containers", "--timestamps")
        yield Command(logs, f"{place}.log")
        yield Command((*logs, "--previous"), f"{place}.previous.log")
        yield Command((*base, "describe", "pod", name), f"{place}.txt")
        if name.startswith("calico-node-"):
            for file, words in _IN_NODES.items():
                execute = (*base, "exec", name, "-c", "calico-node", "--", *words.split())
                yield Command(execute, f"nodes/{text_at(pod, 'spec', 'nodeName')}/{file}.txt")


def _workload(pod: Any) -> str:
    """By whom a pod was made; of a Deployment's ReplicaSet without the hash."""
    owner = next(iter(mappings_at(pod, "metadata", "ownerReferences")), {})
    name = text_at(owner, "name")
    return name.rpartition("-")[0] if text_at(owner, "kind") == "ReplicaSet" else name


def _name(pod: Any) -> str:
    return text_at(pod, "metadata", "name")


def _kubectl_flags(reach: Reach) -> tuple[str, ...]:
    try:
        settings = reach.settings()
    except BadInput:
        return ()
    if not isinstance(settings, KubernetesSettings):
        return ()
    flags = (
        ("--kubeconfig", settings.kubeconfig),
        ("--context", settings.context),
        ("--server", settings.api_endpoint),
    )
    return tuple(f"{flag}={value}" for flag, value in flags if value)


def _run(command: Command, folder: Path) -> str:
    """Run one command, keep what it printed, and say what was collected."""
    file = folder / command.file
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        ran = subprocess.run(command.words, capture_output=True, timeout=_COMMAND_S, check=False)
        file.write_bytes(ran.stdout + (b"" if ran.returncode == 0 else ran.stderr))
        if ran.returncode == 0:
            return f"Collected {command.file}"
        said = [line for line in ran.stderr.decode(errors="replace").splitlines() if line.strip()]
        why = said[-1] if said else f"exit status {ran.returncode}"
    except subprocess.TimeoutExpired:
        why = f"no answer within {_COMMAND_S:.0f} s"
        file.write_text(f"{why}\n", "utf-8")
    return f"Could not collect {command.file}: {why}"


def _answer(words: tuple[str, ...]) -> str:
    try:
        ran = subprocess.run(words, capture_output=True, timeout=_COMMAND_S, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return ran.stdout.decode(errors="replace")


def _listed(words: tuple[str, ...]) -> Sequence[Any]:
    try:
        return mappings_at(mapping_at({"list": json.loads(_answer(words) or "{}")}, "list"), "items")
    except ValueError:
        return []
