"""Which endpoints a policy's selectors can mean at all: namespaces, service accounts and hosts made explicit.

Labels of a namespace are seen on its endpoints with the prefix `pcns.`, those of a service account with `pcsa.`.
Source: calico.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.policy_rules import EntityRule, ServiceAccountMatch
from muslin.selectors import All, And, Equals, Global, Has, In, Leaf, Node, Not, Selector, parse

__all__ = [
    "INHERITED_PREFIXES",
    "NAMESPACE_LABEL",
    "SERVICE_ACCOUNT_LABEL",
    "effective_selector",
    "not_selector",
    "rule_selector",
]

NAMESPACE_LABEL = "projectcalico.org/namespace"
SERVICE_ACCOUNT_LABEL = "projectcalico.org/serviceaccount"

_NAMESPACE_PREFIX = "pcns."
_SERVICE_ACCOUNT_PREFIX = "pcsa."
INHERITED_PREFIXES = (_NAMESPACE_PREFIX, _SERVICE_ACCOUNT_PREFIX)
"""How labels begin that an endpoint has from its profiles alone."""


def effective_selector(policy: NetworkPolicy | GlobalNetworkPolicy) -> Selector:
    """The endpoints that a policy judges, as one selector over their labels.

    A NetworkPolicy sees its own namespace only. In a GlobalNetworkPolicy that selects namespaces or service accounts
    `all()` means everything *in* a namespace or *with* a service account, so that it never hits a host endpoint.
    """
    spec = policy.spec
    accounts = spec.service_account_selector
    if isinstance(policy, NetworkPolicy):
        return _of_namespaced(policy.metadata.namespace or "", spec.selector or "", accounts or "")
    return _of_global(spec.selector or "", policy.spec.namespace_selector or "", accounts or "")


def rule_selector(side: EntityRule, namespace: str | None) -> Selector | None:
    """Whom one side of a rule means, None where it speaks of no endpoints (addresses and ports alone stay unscoped).

    Args:
        side: source or destination.
        namespace: of the policy, None for global ones and profiles.
    """
    accounts = _accounts(side.service_accounts) if side.service_accounts is not None else None
    own = parse(side.selector).root if side.selector else None
    chosen = _both(accounts, own)
    if chosen is None and not side.not_selector and not side.namespace_selector:
        return None
    where: Node | None = None
    if side.namespace_selector:
        where = _in_namespaces(side.namespace_selector)
    elif namespace:
        where = Equals(NAMESPACE_LABEL, namespace)
    scoped = _both(where, chosen)
    return _selector(scoped) if scoped is not None else None


def not_selector(side: EntityRule) -> Selector | None:
    """Whom one side of a rule excludes. Never scoped: "not X" also holds for addresses outside the cluster."""
    return parse(side.not_selector) if side.not_selector else None


@lru_cache(maxsize=4096)
def _of_namespaced(namespace: str, selector: str, accounts: str) -> Selector:
    here = Equals(NAMESPACE_LABEL, namespace)
    scoped: Node = And((parse(selector).root, here)) if selector else here
    if accounts:
        scoped = And((scoped, _prefixed(accounts, _SERVICE_ACCOUNT_PREFIX)))
    return Selector(scoped)


@lru_cache(maxsize=4096)
def _of_global(selector: str, namespaces: str, accounts: str) -> Selector:
    scoped = parse(selector).root if selector else None
    if namespaces:
        scoped = _both(scoped, _prefixed(namespaces, _NAMESPACE_PREFIX))
        scoped = _all_means(scoped, Has(NAMESPACE_LABEL))
    if accounts:
        scoped = _both(scoped, _prefixed(accounts, _SERVICE_ACCOUNT_PREFIX))
        scoped = _all_means(scoped, Has(SERVICE_ACCOUNT_LABEL))
    return Selector(scoped if scoped is not None else All())


@lru_cache(maxsize=4096)
def _in_namespaces(selector: str) -> Node:
    def scope(leaf: Leaf) -> Node:
        if isinstance(leaf, All):
            return Has(NAMESPACE_LABEL)
        if isinstance(leaf, Global):
            return Not(Has(NAMESPACE_LABEL))
        return leaf.with_prefix(_NAMESPACE_PREFIX)

    return parse(selector).root.rewritten(scope)


def _accounts(match: ServiceAccountMatch) -> Node | None:
    by_label = _prefixed(match.selector, _SERVICE_ACCOUNT_PREFIX) if match.selector else None
    return _both(by_label, In(SERVICE_ACCOUNT_LABEL, tuple(match.names)) if match.names else None)


def _prefixed(selector: str, prefix: str) -> Node:
    return parse(selector).root.rewritten(lambda leaf: leaf.with_prefix(prefix))


def _all_means(node: Node | None, meaning: Node) -> Node | None:
    change: Callable[[Leaf], Node] = lambda leaf: meaning if isinstance(leaf, All) else leaf  # noqa: E731
    return None if node is None else node.rewritten(change)


def _both(first: Node | None, second: Node | None) -> Node | None:
    if first is None or second is None:
        return first if second is None else second
    return And((first, second))


def _selector(node: Node) -> Selector:
    """The compiled selector of a tree; by way of its text, whose parsed form is kept."""
    return parse(str(node))
