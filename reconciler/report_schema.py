"""The form of a plan's JSON, version 1: models that hold it, and the JSON Schema that is published from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.report import VERSION

__all__ = ["PlanReport", "schema"]


class _Part(BaseModel):
    """Fields may be added by later releases: readers ignore those that they do not know."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)


class _Field(_Part):
    path: str = Field(description="As people write it: spec.ingress[0].action")
    old: Any = Field(description="null where the field is not there")
    new: Any = Field(description="null where the field goes")
    owner: str = Field(description="Who has it now: us, nobody, somebody else, or a manager's name from the store")
    why: Literal["Declared", "NoLongerDeclared", "ChangedByOthers", "TakenOver"]


class _Step(_Part):
    action: Literal["create", "update", "adopt", "delete"]
    key: str
    kind: str
    namespace: str | None
    name: str
    cause: Literal["change", "drift"]
    owner: Literal["nobody", "us", "somebody else"]
    place: str | None = Field(description="File, line and column of the declaration")
    fields: list[_Field]


class _Blocked(_Part):
    key: str
    why: str
    what: str
    fix: str


class _Change(_Part):
    path: str
    old: Any
    new: Any


class _Drifted(_Part):
    key: str
    mode: str
    fields: list[_Change]


class _Problem(_Part):
    what: str
    where: str
    fix: str


class _Held(_Part):
    reason: str
    what: str
    fix: str


class _Counts(_Part):
    create: int
    update: int
    adopt: int
    delete: int
    unchanged: int
    blocked: int
    drift: int


class _Group(_Part):
    kind: Literal["workload", "node", "host endpoint", "network"]
    count: int
    all: bool = Field(description="Whether these are all of the kind, in the namespace if one is named")
    namespace: str | None = None
    labels: dict[str, str] = Field(default_factory=dict, description="What all of them have in common")
    members: list[str] | None = Field(default=None, description="With --full, or where they are few")


class _Said(_Part):
    protocol: str = Field(description="Name or number; any for everything, other for all that are not named")
    ports: list[str] = Field(default_factory=list, description="Destination ports; none for all")
    source_ports: list[str] = Field(default_factory=list, alias="sourcePorts")
    types: list[str] = Field(default_factory=list, description="Types and codes of ICMP; none for all")
    except_: list[str] = Field(default_factory=list, alias="except")


class _Path(_Part):
    sources: list[_Group]
    destinations: list[_Group]
    traffic: list[_Said]
    ip_versions: list[Literal[4, 6]] = Field(alias="ipVersions")
    pairs: int
    decided_by: Literal["ingress", "egress"] = Field(alias="decidedBy")
    with_own_node: bool = Field(alias="withOwnNode", description="Only pairs of a workload and its own node")


class _Paths(_Part):
    pairs: int = Field(description="Pairs of a source and a destination, each counted once")
    paths: list[_Path]


class _Traffic(_Part):
    opened: _Paths
    closed: _Paths
    judged_otherwise: int = Field(alias="endpointsJudgedOtherwise")
    cut: int = Field(alias="endpointsWithConnectionsCut")


class _Staged(_Traffic):
    policies: list[str]


class _Session(_Part):
    node: str
    peer: str
    peer_port: int = Field(alias="peerPort")
    peer_node: str | None = Field(alias="peerNode")
    peer_as: int = Field(alias="peerAS")
    kind: Literal["NodeMesh", "NodePeer", "GlobalPeer"]
    changed: list[str]


class _Sessions(_Part):
    come: list[_Session]
    go: list[_Session]
    change: list[_Session]


class _Difference(_Part):
    appear: list[str]
    vanish: list[str]


class _Prefixes(_Part):
    nodes: dict[str, _Difference]
    peers: dict[str, _Difference]


class _Lost(_Part):
    pool: str
    cidr: str
    addresses: int
    workloads: int
    members: list[str] | None = None


class _Pool(_Part):
    pool: str
    what: str
    before: str
    after: str
    addresses: int


class _Mtu(_Part):
    before: int
    after: int
    nodes: list[str]
    running_pods: int = Field(alias="runningPods", description="Pods that keep what they have until they start again")


class _Agents(_Part):
    count: int
    of: int
    exact: bool = Field(description="Else at most so many")
    members: list[str] | None = None


class _Unjudged(_Part):
    reason: Literal["HostPolicy", "ServicesOrHTTP", "BGPFilters", "AgentSettings"]
    meaning: str
    objects: list[str]


class _Effect(_Part):
    endpoints: int = Field(description="Workloads that were looked at; with none, nothing can be told of traffic")
    traffic: _Traffic
    staged: _Staged
    sessions: _Sessions
    prefixes: _Prefixes
    without_pool: list[_Lost] = Field(alias="addressesWithoutPool")
    pools: list[_Pool]
    mtu: list[_Mtu]
    agents: _Agents
    not_judged: list[_Unjudged] = Field(alias="notJudged")


class _Condition(_Part):
    condition: str
    meaning: str


class _Stage(_Part):
    number: int
    name: str
    reason: str
    write: list[str]
    remove: list[str]
    until: list[_Condition]
    people: bool = Field(description="Whether it ends when people act")
    commands: list[str]
    back: str


class _Procedure(_Part):
    name: str
    purpose: str
    source: str
    stages: list[_Stage]


class _Course(_Part):
    stage: int = Field(description="The one that is under way, whose steps these are")
    of: int
    procedures: list[_Procedure]


class PlanReport(_Part):
    """What `muslin plan -o json` prints."""

    version: Literal[1]
    commit: str
    origin: str = Field(description="What the plan starts from: datastore, or the id of a commit")
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = Field(
        description="What an approval quotes; null for a plan of files, or between two commits"
    )
    counts: _Counts
    order: list[str] = Field(description="The levels in which steps are taken")
    probes: list[str] = Field(default_factory=list, description="What is asked while the commit is on trial")
    probes_gone: list[str] = Field(
        default_factory=list, alias="probesGone", description="What is not asked any more; only between two commits"
    )
    steps: list[_Step]
    blocked: list[_Blocked]
    drifted: list[_Drifted]
    forgotten: list[str]
    accepted: str | None
    held: _Held | None
    paused: bool
    unread: list[_Problem]
    effect: _Effect | None
    course: _Course | None = Field(default=None, description="All stages, where a running cluster must change in some")


def schema() -> dict[str, Any]:
    """The JSON Schema, as it is published in `docs/reference/plan.schema.json`."""
    found = PlanReport.model_json_schema(by_alias=True, mode="validation")
    title = f"A plan of muslin, version {VERSION}"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": title}
