"""Rules over the rules of a BGPFilter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muslin.resources.bgp_filter import BGPFilterOperation

__all__ = ["FILTER_RULE_RULES", "OPERATION_RULES"]

FILTER_RULE_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "prefix-with-operator",
        "(has(self.cidr) && size(self.cidr) > 0) == (has(self.matchOperator) && size(self.matchOperator) > 0)",
        "cidr and matchOperator must both be set or both be empty",
        lambda rule: (rule.cidr is None) == (rule.match_operator is None),
        fix="set both cidr and matchOperator, or neither",
    ),
    cel(
        "length-needs-prefix",
        "!has(self.prefixLength) || (has(self.cidr) && size(self.cidr) > 0)",
        "cidr is required when prefixLength is set",
        lambda rule: rule.prefix_length is None or rule.cidr is not None,
        path=("prefixLength",),
        fix="set cidr and matchOperator as well",
    ),
    cel(
        "only-accepted-routes-change",
        "!has(self.operations) || size(self.operations) == 0 || self.action == 'Accept'",
        "operations may only be used with action Accept",
        lambda rule: not rule.operations or rule.action.value == "Accept",
        path=("operations",),
        fix="set action to Accept, or remove operations",
    ),
)


def _one_operation(operation: BGPFilterOperation) -> Iterator[Breach]:
    count = sum(value is not None for _, value in operation)
    if count < 1:
        yield Breach("an operation should have at least 1 properties")
    elif count > 1:
        yield Breach("an operation must not have more than 1 properties")


OPERATION_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "one-operation",
        "an operation does exactly one thing",
        _one_operation,
        fix="set one of addCommunity, prependASPath and setPriority; write a list entry for each",
    ),
)
