"""The nftables driver against the real kernel; `nft` is the independent witness."""

from __future__ import annotations

import json
import select
from dataclasses import replace
from ipaddress import ip_network
from random import Random

import pytest

from muslin.errors import KernelRefused
from runtime.calc.state import NodeState
from runtime.dataplane.ir import Chain, KeyType, NamedSet, Rule, Ruleset, Verdict, VerdictKind
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.nftables import Nftables, StaleGeneration, TablePlan
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.netns import isolated, run
from tests.support.node_states import random_state


def _generation(driver: Nftables) -> int:
    driver._known = None
    return driver.read().generation


@isolated
def test_any_state_follows_any_other_and_then_nothing_is_left_to_do() -> None:
    """Random walks over states: after each apply a fresh reading plans nothing; also back to empty."""
    random = Random(3)
    states = [random_state(random) for _ in range(12)] + [NodeState("n", "0")]
    driver = Nftables()
    for _ in range(60):
        ruleset = compile_ruleset(random.choice(states))
        driver.converge(ruleset)

        fresh = Nftables()

        assert str(fresh.plan(ruleset, fresh.read())) == "nothing to do"
        fresh.close()


@isolated
def test_restarted_driver_writes_nothing_when_nothing_changed() -> None:
    """A second driver takes over what is there: the generation only counts the claim, and the filter is the same."""
    ruleset = compile_ruleset(random_state(Random(5)))
    first = Nftables(exclusive=False)
    first.converge(ruleset)
    first.close()
    before = run("nft", "-j", "list", "ruleset")
    second = Nftables(exclusive=False)
    generation = _generation(second)

    plan = second.converge(ruleset)

    assert not plan
    assert generation == _generation(second)
    assert before == run("nft", "-j", "list", "ruleset")


@isolated
def test_small_change_is_a_small_plan() -> None:
    """One more member of a set is one element, not a chain."""
    state = random_state(Random(5))
    driver = Nftables()
    driver.converge(compile_ruleset(state))
    pools = replace(state, all_pools=state.all_pools | {ip_network("10.99.0.0/16")})

    plan = driver.converge(compile_ruleset(pools))

    assert str(plan) == "add to all-pools-4"


@isolated
def test_foreign_change_to_our_table_is_noticed_and_repaired() -> None:
    """A deleted rule, an added rule, a deleted element, a foreign chain, a policy of drop: all put right again."""
    ruleset = compile_ruleset(random_state(Random(8)))
    driver = Nftables(exclusive=False)
    driver.converge(ruleset)
    for damage in (
        "flush chain inet calico to-host",
        "insert rule inet calico from-workload accept",
        "flush map inet calico to-dispatch",
        "add chain inet calico evil; add rule inet calico evil accept",
        "add set inet calico evil { type ipv4_addr; }",
        "add rule inet calico to-host ip saddr { 192.0.2.7, 192.0.2.9 } accept",
        "delete table inet calico",
    ):
        driver.drain()
        run("nft", "-f", "-", stdin=damage + "\n")
        assert select.select([driver], [], [], 5)[0], damage

        assert driver.drain(), damage
        assert driver.converge(ruleset), damage
        assert not driver.converge(ruleset), damage


@isolated
def test_own_commit_is_no_reason_to_look_again() -> None:
    """The events of our own transaction don't wake us twice."""
    driver = Nftables(exclusive=False)
    driver.converge(compile_ruleset(random_state(Random(1))))

    assert not driver.drain()


@isolated
def test_owned_table_withstands_other_programs_and_outlives_us() -> None:
    """`nft flush ruleset` and `nft delete table` leave it; after our exit the next driver claims it."""
    ruleset = compile_ruleset(random_state(Random(2)))
    driver = Nftables()
    driver.converge(ruleset)
    if not driver.claim():
        pytest.skip("this kernel has no table that is owned and persistent (Linux 6.9)")
    run("nft", "flush", "ruleset")
    with pytest.raises(AssertionError, match="not permitted"):
        run("nft", "delete", "table", "inet", "calico")
    driver.close()

    heir = Nftables()

    assert not heir.converge(ruleset)
    assert heir.claim()


@isolated
def test_owned_table_is_not_read_again_after_others_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else can change it, so what others commit to tables of theirs costs nothing, and our change goes in."""
    one, two = (compile_ruleset(random_state(Random(seed))) for seed in (2, 3))
    driver = Nftables()
    driver.converge(one)
    if not driver.claim():
        pytest.skip("this kernel has no table that is owned and persistent (Linux 6.9)")
    run("nft", "add", "table", "ip", "foreign")
    reads: list[None] = []
    monkeypatch.setattr(driver, "_read_table", lambda: reads.append(None))

    assert not driver.drain()
    assert driver.converge(two)
    assert not reads
    driver.close()
    assert not Nftables().converge(two)


@isolated
def test_other_tables_are_left_alone() -> None:
    """A foreign table keeps its very text through all we do."""
    foreign = "table inet other { chain c { type filter hook forward priority 5; policy accept; counter drop; }; }\n"
    run("nft", "-f", "-", stdin=foreign)
    before = run("nft", "list", "table", "inet", "other")
    driver = Nftables()
    for seed in range(4):
        driver.converge(compile_ruleset(random_state(Random(seed))))

    assert before == run("nft", "list", "table", "inet", "other")


@isolated
def test_write_between_reading_and_writing_is_refused() -> None:
    """A plan made from an old generation changes nothing; converge reads again and succeeds."""
    driver = Nftables()
    ruleset = compile_ruleset(random_state(Random(4)))
    plan = driver.plan(ruleset, driver.read())
    run("nft", "add", "table", "inet", "other")

    with pytest.raises(StaleGeneration):
        driver.apply(plan)

    assert "calico" not in run("nft", "list", "tables")
    assert driver.converge(ruleset)


@isolated
def test_refused_transaction_changes_nothing_and_names_the_step() -> None:
    """A rule that jumps to nowhere: the kernel refuses all of it, and the error says which chain."""
    ruleset = compile_ruleset(random_state(Random(4)))
    driver = Nftables()
    driver.converge(ruleset)
    before = run("nft", "-j", "list", "ruleset")
    bad = Chain("in/np/bad", (Rule((Verdict(VerdictKind.JUMP, "nowhere"),)),))

    with pytest.raises(KernelRefused, match="write chain in/np/bad"):
        driver.converge(replace(ruleset, chains={**ruleset.chains, bad.name: bad}))

    assert before == run("nft", "-j", "list", "ruleset")


@isolated
def test_transaction_too_large_for_the_buffer_goes_in_closed_steps() -> None:
    """With a small buffer the same table comes out, and as long as a policy is missing, dispatch is empty."""
    random = Random(9)
    driver, fresh = Nftables(exclusive=False), Nftables(exclusive=False)
    driver.converge(compile_ruleset(random_state(random)))
    commit = driver._commit
    commits: list[bool] = []

    def watched(part: list[Message], generation: int, plan: TablePlan) -> None:
        commit(part, generation, plan)
        listed = json.loads(run("nft", "-j", "list", "map", "inet", "calico", "to-dispatch"))["nftables"]
        opened = "elem" in listed[1]["map"]
        left = str(fresh.plan(ruleset, fresh.read())).splitlines()
        commits.append(opened)
        late = ("add to from-dispatch", "add to to-dispatch", "add to workload-sources", "empty chain", "delete ")
        assert not opened or left == ["nothing to do"] or all(step.startswith(late) for step in left), left

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetlinkSocket, "send_limit", 12000)
        patch.setattr(driver, "_commit", watched)
        for _ in range(12):
            ruleset = compile_ruleset(random_state(random))
            driver.converge(ruleset)

            assert not fresh.plan(ruleset, fresh.read())
    assert commits.count(False) > 3


@pytest.mark.parametrize("first", [True, False])
@isolated
def test_no_table_is_there_without_its_base_chains_between_steps(first: bool) -> None:
    """Made for the first time or anew, as a foreign chain on our name needs: it is closed after every commit."""
    driver = Nftables(exclusive=False)
    ruleset = compile_ruleset(random_state(Random(9)))
    many = {name: NamedSet(name, (KeyType.PORT,)) for name in (f"ports-{number}" for number in range(200))}
    ruleset = replace(ruleset, sets={**ruleset.sets, **many})
    if not first:
        _reshape(driver, ruleset)
    commit = driver._commit
    closed: list[bool] = []

    def watched(part: list[Message], generation: int, plan: TablePlan) -> None:
        commit(part, generation, plan)
        listed = run("nft", "list", "tables")
        closed.append("calico" in listed and "drop" in run("nft", "list", "chain", "inet", "calico", "from-workload"))

    steps = driver.plan(ruleset, driver.read()).steps
    sizes = [sum((len(message.body) + 19) & ~3 for message in step.messages) for step in steps]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetlinkSocket, "send_limit", max(sizes) + 200)
        patch.setattr(driver, "_commit", watched)
        driver.converge(ruleset)

    assert len(closed) > 1
    assert all(closed)


def _reshape(driver: Nftables, ruleset: Ruleset) -> None:
    """Load the table and put a foreign chain on one of its names."""
    driver.converge(ruleset)
    run("nft", "-f", "-", stdin="flush chain inet calico to-workload; delete chain inet calico to-workload\n")
    chain = "chain to-workload { type filter hook postrouting priority 5; policy accept; };"
    run("nft", "-f", "-", stdin=f"table inet calico {{ {chain} }}\n")


@isolated
def test_nft_reads_what_we_meant() -> None:
    """The independent reader shows sets, intervals and dispatch as intended."""
    state = replace(
        random_state(Random(0)), all_pools=frozenset({ip_network("10.48.0.0/16"), ip_network("10.49.0.0/16")})
    )
    driver = Nftables()
    driver.converge(compile_ruleset(state))

    listed = json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]

    sets = {item["set"]["name"]: item["set"] for item in listed if "set" in item}
    maps = {item["map"]["name"]: item["map"] for item in listed if "map" in item}
    assert sets["all-pools-4"]["elem"] == [{"prefix": {"addr": "10.48.0.0", "len": 15}}]
    assert {key for key, _ in maps["from-dispatch"]["elem"]} == set(state.endpoints)
    hooks = {
        item["chain"]["name"]: (item["chain"]["hook"], item["chain"]["prio"])
        for item in listed
        if "hook" in item.get("chain", {})
    }
    assert hooks == {
        "source-check": ("prerouting", -300),
        "from-workload": ("forward", 0),
        "to-workload": ("forward", 1),
        "to-host": ("input", 0),
        "from-host": ("output", 0),
        "masquerade": ("postrouting", 110),
    }
