"""`muslin verify-install`: whether upstream Calico is, or would be, installed as decided; line by line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from muslin.cli.blueprint import facts_and_decisions
from muslin.errors import BadInput, Problem

if TYPE_CHECKING:
    from blueprints.upstream.network import Network
    from blueprints.upstream.verify.installed import Installed

__all__ = ["verify_install"]


@click.command(name="verify-install")
@click.argument("cluster", metavar="CLUSTER.YAML")
@click.argument("manifests", metavar="[MANIFESTS]...", nargs=-1)
@click.option("--from-cluster", is_flag=True, help="Look at what runs, by the Kubernetes API; reads only.")
@click.option("--kubeconfig", metavar="FILE", help="With --from-cluster. [KUBECONFIG, ~/.kube/config]")
@click.option("--context", metavar="NAME", help="With --from-cluster: context of the kubeconfig.")
@click.option("--blueprint", help="Which blueprint. Default: the file's own, else the one that fits.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="What cannot be told fails as well.")
def verify_install(
    *,
    cluster: str,
    manifests: tuple[str, ...],
    from_cluster: bool,
    kubeconfig: str | None,
    context: str | None,
    blueprint: str | None,
    output: str,
    strict: bool,
) -> int:
    r"""Compare an installation of upstream Calico with what is decided from CLUSTER.YAML, line by line.

    MANIFESTS are what would be applied: files, folders, a folder of kustomize, or - for standard input. With
    --from-cluster it is what runs: calico-node, calico-config, Typha, the operator's Installation, and Calico's
    resources. Each line says what was decided, what is there, and where the reference architecture says so; a line that
    does not hold says what to do. Misspelt variables, typographic quotes, probes beside their place and selectors
    without quotes are found as well.

    \b
    muslin verify-install cluster.yaml calico.yaml
    muslin verify-install cluster.yaml install/manifests
    kubectl kustomize overlays/site | muslin verify-install cluster.yaml -
    muslin verify-install cluster.yaml --from-cluster -o junit > install.xml

    Exit status: 0 all holds, 1 something differs or is absent, or the cluster does not answer, 2 the cluster file or
    the usage is wrong.
    """
    if from_cluster == bool(manifests):
        what = "both manifests and a cluster are given" if manifests else "there is nothing to look at"
        raise BadInput(Problem(what, "verify-install", "give manifests, or --from-cluster"))
    if not from_cluster and (kubeconfig or context):
        raise BadInput(Problem("no cluster is asked", "--kubeconfig, --context", "add --from-cluster"))
    from blueprints.upstream.network import network  # noqa: PLC0415 - wrong usage is told before
    from blueprints.upstream.verify.lines import Verdict  # noqa: PLC0415
    from blueprints.upstream.verify.verifying import verify  # noqa: PLC0415
    from muslin.cli.verify_reports import as_json, as_junit, as_text  # noqa: PLC0415

    decided = network(*facts_and_decisions(cluster, blueprint), file=cluster)
    problems: tuple[Problem, ...] = ()
    if from_cluster:
        installed = _running(decided, kubeconfig, context)
    else:
        from muslin.cli.verify_reading import read_installation  # noqa: PLC0415

        installed, problems = read_installation(manifests)
    lines = verify(decided, installed, problems)
    click.echo({"text": as_text, "json": as_json, "junit": as_junit}[output](lines))
    wrong = any(each.verdict.is_wrong or (strict and each.verdict is Verdict.CANNOT_TELL) for each in lines)
    return 1 if wrong else 0


def _running(decided: Network, kubeconfig: str | None, context: str | None) -> Installed:
    from muslin.cli.verify_cluster import read_cluster  # noqa: PLC0415 - only for this

    return asyncio.run(read_cluster(decided, kubeconfig, context))
