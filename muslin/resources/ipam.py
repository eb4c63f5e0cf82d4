"""Objects in which address management keeps its books: blocks, affinities, handles and its configuration."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from muslin.resources.base import ONLY_DEFAULT, NameForm, Resource
from muslin.resources.fields import Bool, Int, Net, StringMap, Text
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part

__all__ = [
    "AffinityState", "AffinityType", "AllocationAttribute", "BlockAffinity", "BlockAffinitySpec", "IPAMBlock",
    "IPAMBlockSpec", "IPAMConfiguration", "IPAMConfigurationSpec", "IPAMHandle", "IPAMHandleSpec",
    "VMAddressPersistence",
]  # fmt: skip

Counts = Annotated[Mapping[Text, Int], AfterValidator(FrozenDict)]


class AllocationAttribute(Part):
    """Who holds addresses; several addresses of a block may share one."""

    handle_id: Text | None = Field(default=None, alias="handle_id")
    secondary: StringMap = FrozenDict()
    alternate_owner_attrs: StringMap = FrozenDict()
    released_at: Text | None = None


class IPAMBlockSpec(Part):
    """A block of addresses: who owns it, and which are given out.

    `allocations` has an entry an address: None if it is free, else a position in `attributes`. `unallocated` holds
    the free ones in the order they will be given out.
    """

    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset(
        {"allocations", "unallocated", "attributes", "strict_affinity", "deleted", "sequence_number"}
    )

    cidr: Net
    affinity: Annotated[Text, Field(pattern=r"^(host|virtual):[a-zA-Z0-9\.\-_]+$")] | None = None
    affinity_claim_time: Text | None = None
    allocations: tuple[Int | None, ...] = ()
    unallocated: tuple[Int, ...] = ()
    attributes: tuple[AllocationAttribute, ...] = ()
    sequence_number: Int = 0
    sequence_number_for_allocation: Counts = FrozenDict()
    deleted: Bool = False
    strict_affinity: Bool = False


class IPAMBlock(Resource):
    """A block; cluster-scoped."""

    kind: Literal["IPAMBlock"] = "IPAMBlock"
    spec: IPAMBlockSpec


class AffinityState(enum.Enum):
    """How far the claim of a block has come."""

    NONE = ""
    CONFIRMED = "confirmed"
    PENDING = "pending"
    PENDING_DELETION = "pendingDeletion"


class AffinityType(enum.Enum):
    """Who holds the affinity: a node, or something that is not one."""

    HOST = "host"
    VIRTUAL = "virtual"


def _flag_in_text(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class BlockAffinitySpec(Part):
    """A node's claim on a block. `deleted` is also read as text, as the older API keeps it."""

    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"deleted"})

    state: AffinityState
    node: Text
    type: AffinityType | None = None
    cidr: Net
    deleted: Annotated[Bool, BeforeValidator(_flag_in_text)] = False

    @property
    def effective_type(self) -> AffinityType:
        """Who holds it, a node where unset."""
        return self.type or AffinityType.HOST


class BlockAffinity(Resource):
    """A claim on a block; cluster-scoped."""

    kind: Literal["BlockAffinity"] = "BlockAffinity"
    spec: BlockAffinitySpec


class IPAMHandleSpec(Part):
    """How many addresses a handle holds in which blocks."""

    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"block"})

    handle_id: Text
    block: Counts = FrozenDict()
    deleted: Bool = False


class IPAMHandle(Resource):
    """One holder of addresses; cluster-scoped."""

    kind: Literal["IPAMHandle"] = "IPAMHandle"
    spec: IPAMHandleSpec


class VMAddressPersistence(enum.Enum):
    """Whether a virtual machine keeps its addresses when it moves."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class IPAMConfigurationSpec(Part):
    """How blocks are claimed."""

    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"strict_affinity", "auto_allocate_blocks"})

    strict_affinity: Bool = False
    auto_allocate_blocks: Bool = True
    max_blocks_per_host: Int = Field(default=0, ge=0, le=1_000_000)
    kube_virt_vm_address_persistence: VMAddressPersistence | None = None
    ip_cooldown_seconds: Int | None = Field(default=None, ge=0, le=1200)


class IPAMConfiguration(Resource):
    """Settings of address management; cluster-scoped, the only name is `default`."""

    NAME_FORM: ClassVar[NameForm] = ONLY_DEFAULT

    kind: Literal["IPAMConfiguration"] = "IPAMConfiguration"
    spec: IPAMConfigurationSpec = IPAMConfigurationSpec()
