"""Rules of host ports. kind refuses a port that is mapped twice within one node only; across nodes the engine does, minutes later.

The messages cannot name the port: the API server bounds the cost of making a message too, and a number as text has no bound there.
"""

from __future__ import annotations

from provider.api.rules.rule import Rule

CURE = "remove one of the mappings, or give it another hostPort or listenAddress"


def _fixed(mapping: str) -> str:
    """Whether a port mapping asks for a certain port of the host."""
    return f"has({mapping}.hostPort) && {mapping}.hostPort > 0"


def _protocol(mapping: str) -> str:
    return f"(has({mapping}.protocol) ? {mapping}.protocol : 'TCP')"


def _everywhere(mapping: str) -> str:
    """Whether it listens on all addresses."""
    return f"(!has({mapping}.listenAddress) || {mapping}.listenAddress in ['', '0.0.0.0', '::'])"


def _clashes(mapping: str, other: str) -> str:
    """Whether both cannot listen. The order matters: listenAddress is read only where it exists."""
    return (
        f"{_fixed(other)} && {mapping}.hostPort == {other}.hostPort && {_protocol(mapping)} == {_protocol(other)} && "
        f"({_everywhere(mapping)} || {_everywhere(other)} || {mapping}.listenAddress == {other}.listenAddress)"
    )


def ports_of_a_node() -> Rule:
    """Compares every mapping with every other of the node; at most 32 x 32, which the cost limit allows."""
    single = f"self.extraPortMappings.exists_one(q, {_clashes('p', 'q')})"  # itself
    return Rule(
        rule=f"!has(self.extraPortMappings) || self.extraPortMappings.all(p, !({_fixed('p')}) || {single})",
        message=(
            "extraPortMappings: a hostPort is mapped twice (same protocol, and the same listenAddress or one of them listens on all "
            f"addresses): {CURE}"
        ),
        path=".extraPortMappings",
    )


def _keys(node: str, wanted: str, key: str, nothing: int) -> str:
    """CEL for a node's port mappings as a list of keys. One that is not wanted gets `nothing`, which is in no other list.

    dyn(), because the items of a CEL list must have one type, and a key mixes numbers and texts.
    """
    listed = f"{node}.extraPortMappings.map(p, {_fixed('p')} && {wanted} ? [{key}] : [dyn({nothing})])"
    return f"(!has({node}.extraPortMappings) ? [] : {listed})"


def _not_twice(mine: str, others: str) -> str:
    """CEL: no node m shares a key with a second node (the first is m itself)."""
    return f"!has(self.nodes) || !self.nodes.exists(m, self.nodes.filter(n, sets.intersects({mine}, {others})).size() > 1)"


def ports_across_nodes() -> tuple[Rule, Rule]:
    """Compares sets of keys: comparing every mapping with every other would cost ten times what the API server allows.

    Two rules, because the address is part of the key only where both mappings name one: first both name the same address, then one of
    them listens on all addresses.
    """
    port = f"dyn(p.hostPort), dyn({_protocol('p')})"
    precise = f"{port}, dyn(p.listenAddress)"
    alone = f"!{_everywhere('p')}"
    return (
        Rule(
            rule=_not_twice(_keys("m", alone, precise, -1), _keys("n", alone, precise, -2)),
            message=f"nodes: two nodes map the same hostPort of the same listenAddress: {CURE}",
            path=".nodes",
        ),
        Rule(
            rule=_not_twice(_keys("m", _everywhere("p"), port, -1), _keys("n", "true", port, -2)),
            message=f"nodes: two nodes map the same hostPort, and one of them listens on all addresses: {CURE}",
            path=".nodes",
        ),
    )
