"""The steps of the demo, in order: each does one thing to the cluster, says what happens, and gives what it checked.

A step may rely on those before it. Tests run the same functions (`tests/lab/test_demo.py`).
"""

from __future__ import annotations

from muslin.lab.demo.crash_steps import processes_killed
from muslin.lab.demo.network_steps import cluster_up, network_pushed, packets_pass, pods_attached
from muslin.lab.demo.policy_steps import bad_commit_pushed, default_deny_pushed, drift_repaired
from muslin.lab.demo.stage import Step

__all__ = ["STEPS"]

STEPS: tuple[Step, ...] = (
    Step("A cluster of network namespaces comes up", cluster_up),
    Step("The network is decided, pushed and applied", network_pushed),
    Step("Pods are attached by the CNI plugin", pods_attached),
    Step("Packets pass: no encapsulation, full MTU, NAT to the outside", packets_pass),
    Step("Default deny is pushed, with one allowance", default_deny_pushed),
    Step("A bad commit is pushed, and reverted", bad_commit_pushed),
    Step("Somebody changes an object by hand", drift_repaired),
    Step("Agent, speaker and reconciler are killed", processes_killed),
)
