"""Runs in a namespace: one member, one chain and 1,000 routes by our drivers and by `nft` and `ip`; seconds as JSON.

Usage: python -m tests.bench.kernel_within ROUNDS

The other side works on a copy of our table, made from what `nft list table` prints, so that both have the same shape:
100 endpoints, each with a policy of its own of 10 rules and a set of 20 members.
"""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from ipaddress import ip_address, ip_network

from muslin.net import Prefix
from runtime.calc.state import (
    Action,
    Endpoint,
    NodeState,
    PolicyId,
    PolicyRules,
    PortRange,
    Route,
    RouteClass,
    Rule,
    RuleMatch,
    SetId,
    TierPolicies,
)
from runtime.dataplane.nftables import Nftables
from runtime.dataplane.ownership import TABLE
from runtime.dataplane.routes import DesiredRoutes, Routes
from runtime.dataplane.ruleset import compile_ruleset
from tests.bench.figures import in_turns

_ENDPOINTS, _RULES, _MEMBERS, _ROUTES = 100, 10, 20, 1000

_LIBC = ctypes.CDLL(None, use_errno=True)
_APART_S = 0.03
_CHAIN = r"chain (\S+) \{\n(.*?)\n\t\}"


def _policy(number: int, first_port: int = 1000) -> tuple[PolicyId, PolicyRules]:
    rules = tuple(
        Rule((Action.ALLOW, Action.DENY)[n % 2], RuleMatch(protocol=6, source_sets=(SetId(f"s:{number}"),),
             destination_ports=(PortRange(first_port + 10 * n, first_port + 10 * n + 5),)))
        for n in range(_RULES)
    )  # fmt: skip
    return PolicyId("NetworkPolicy", f"policy{number}", "demo"), PolicyRules(ingress=rules)


def _members(number: int, *more: str) -> frozenset[Prefix]:
    return frozenset(ip_network(each) for each in (*(f"10.{50 + n}.{number}.1/32" for n in range(_MEMBERS)), *more))


def _state() -> NodeState:
    policies = dict(_policy(number) for number in range(_ENDPOINTS))
    endpoints = {
        f"cali{number}": Endpoint(
            f"pod{number}", "demo", f"cali{number}", (ip_address(f"10.48.0.{number + 1}"),),
            tiers=(TierPolicies("default", Action.DENY, ingress=(identity,)),),
        )
        for number, identity in enumerate(policies)
    }  # fmt: skip
    sets = {SetId(f"s:{number}"): _members(number) for number in range(_ENDPOINTS)}
    return NodeState("n", "1", endpoints=endpoints, policies=policies, sets=sets)


def _timed(run: Callable[[], object], *, apart_s: float = 0.0) -> float:
    """Seconds of a run.

    `apart_s` is slept before: the kernel frees what the last change took away only after a moment, and whoever comes
    next would wait for that.
    """
    time.sleep(apart_s)
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _nft(script: str) -> None:
    """In a namespace of its own, as each driver must think that it is alone: it reads again after others wrote."""
    subprocess.run(["nft", "-f", "-"], input=script.encode(), check=True, preexec_fn=_enter_other)


def _enter_other() -> None:
    with open("/run/netns/other", "rb") as namespace:  # noqa: PTH123
        if _LIBC.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")


class _Copy:
    """The other side's table."""

    def __init__(self) -> None:
        subprocess.run(["ip", "netns", "add", "other"], check=True)
        text = subprocess.run(
            ["nft", "list", "table", "inet", TABLE], capture_output=True, text=True, check=True
        ).stdout
        text = re.sub(rf"^table inet {TABLE} .*$", "table inet other {", text, flags=re.MULTILINE)
        text = re.sub(r"^\s*flags owner.*$", "", text, flags=re.MULTILINE)
        text = text.replace("chain masquerade {", "chain masquerading {")  # what nft prints it does not read
        chains = {name: body for name, body in re.findall(_CHAIN, text, flags=re.DOTALL) if name.startswith("in/")}
        _nft(re.sub(_CHAIN, lambda found: found[0] if found[1] not in chains else f"chain {found[1]} {{\n\t}}", text,
                    flags=re.DOTALL))  # fmt: skip
        for name, body in chains.items():  # all at once is more than an ordinary user may send
            _nft("".join(f"add rule inet other {name} {rule.strip()}\n" for rule in body.splitlines()))
        self.set = re.findall(r"set (\S+) \{\s+type ipv4_addr\s+elements = \{[^}]*10\.50\.7\.1", text)[0]
        self.chain, body = next(each for each in chains.items() if f"@{self.set}" in each[1])
        self.rules = [line.strip() for line in body.splitlines()]

    def member(self, *, there: bool) -> None:
        _nft(f"{'add' if there else 'delete'} element inet other {self.set} {{ 10.99.99.99 }}\n")

    def rewrite(self, first: str) -> None:
        rules = [re.sub(r"dport \d+", f"dport {first}", self.rules[0]), *self.rules[1:]]
        added = "".join(f"add rule inet other {self.chain} {rule}\n" for rule in rules)
        _nft(f"flush chain inet other {self.chain}\n{added}")


def _filter(rounds: int) -> dict[str, object]:
    driver, base = Nftables(), _state()
    more = replace(base, sets={**base.sets, SetId("s:7"): _members(7, "10.99.99.99/32")})
    identity, changed = _policy(7, first_port=2000)
    other = replace(base, policies={**base.policies, identity: changed})
    rulesets = [compile_ruleset(each) for each in (base, more, other)]
    driver.converge(rulesets[0])
    copy = _Copy()
    turns = {"member": [0, 0], "chain": [0, 0]}

    def ours(what: str, target: int) -> Callable[[], float]:
        def run() -> float:
            turns[what][0] ^= 1
            return _timed(lambda: driver.converge(rulesets[target if turns[what][0] else 0]), apart_s=_APART_S)

        return run

    def theirs(what: str) -> Callable[[], float]:
        def run() -> float:
            turns[what][1] ^= 1
            at = turns[what][1]
            change = (lambda: copy.member(there=bool(at))) if what == "member" else (lambda: copy.rewrite(str(1 + at)))
            return _timed(change, apart_s=_APART_S)

        return run

    found: dict[str, object] = {
        what: asdict(in_turns(ours(what, target), theirs(what), rounds))
        for what, target in (("member", 1), ("chain", 2))
    }
    found["compile"] = [_timed(lambda: compile_ruleset(base)) for _ in range(5)]
    driver.close()
    found["resync"] = [_timed(lambda: Nftables().converge(rulesets[0])) for _ in range(5)]
    return found


def _routes(rounds: int) -> dict[str, object]:
    subprocess.run(["ip", "link", "add", "r0", "type", "veth", "peer", "name", "r1"], check=True)
    subprocess.run(["ip", "-batch", "-"], input=b"link set r0 up\nlink set r1 up\n", check=True)
    driver = Routes()
    wanted = [f"10.{100 + n // 250}.{n % 250}.0/24" for n in range(_ROUTES)]
    desired = DesiredRoutes(tuple(Route(ip_network(each), RouteClass.BGP, interface="r0") for each in wanted))
    batch = {word: "".join(f"route {word} {each} dev r0\n" for each in wanted).encode() for word in ("add", "del")}

    def ours() -> float:
        took = _timed(lambda: driver.converge(desired))
        driver.converge(DesiredRoutes())
        driver.drain()  # as the agent's loop does meanwhile
        return took

    def theirs() -> float:
        took = _timed(lambda: subprocess.run(["ip", "-batch", "-"], input=batch["add"], check=True))
        subprocess.run(["ip", "-batch", "-"], input=batch["del"], check=True)
        driver.drain()
        return took

    found: dict[str, object] = {"routes": asdict(in_turns(ours, theirs, rounds))}
    driver.converge(desired)
    found["again"] = [_timed(lambda: driver.converge(desired)) for _ in range(20)]
    return found


def main() -> None:
    """Measure everything."""
    rounds = int(sys.argv[1])
    print(json.dumps({**_filter(rounds), **_routes(max(5, rounds // 4))}))


if __name__ == "__main__":
    main()
