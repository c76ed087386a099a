"""Rules of host ports. kind refuses a port that is mapped twice within one node only; across nodes the engine does, minutes later.

The messages cannot name the port: the API server bounds the cost of making a message too, and a number as text has no bound there.
The same bound shapes the rules: they compare lists of keys, which costs a tenth of comparing every mapping with every other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from provider.api.rules.rule import Held, Rule

COMPARED, MAPPED_NODES = 32, 12
"""Mappings of a node that are compared with those of other nodes, and nodes with mappings up to which they are: the API server stops a rule
that costs too much, and refuses the object. What lies beyond, the preflight finds before anything is made
(provider.adapters.kind.preflight)."""
EVERYWHERE = ("", "0.0.0.0", "::")
"""Addresses that stand for all."""
Key = tuple[int, str]
CURE = "remove one of the mappings, or give it another hostPort or listenAddress"


def _fixed(mapping: str) -> str:
    """Whether a port mapping asks for a certain port of the host."""
    return f"has({mapping}.hostPort) && {mapping}.hostPort > 0"


def _maps(node: str) -> str:
    return f"has({node}.extraPortMappings) && {node}.extraPortMappings.size() > 0"


def _everywhere(mapping: str) -> str:
    """Whether it listens on all addresses."""
    return f"(!has({mapping}.listenAddress) || {mapping}.listenAddress in ['', '0.0.0.0', '::'])"


def _port(mapping: str) -> str:
    """Key: port and protocol. dyn(), because the items of a CEL list must have one type, and a key mixes numbers and texts."""
    protocol = f"(has({mapping}.protocol) && {mapping}.protocol != '' ? {mapping}.protocol.upperAscii() : 'TCP')"
    return f"dyn({mapping}.hostPort), dyn({protocol})"


def _precise(mapping: str) -> str:
    """Key: port, protocol and the address that is named."""
    return f"{_port(mapping)}, dyn(has({mapping}.listenAddress) ? {mapping}.listenAddress : '')"


def _fixed_ports(node: Held) -> list[tuple[Key, str]]:
    """(port and protocol, address) of each mapping that asks for a certain port of the host."""

    def one(mapping: dict[str, Any]) -> tuple[Key, str]:
        return (mapping["hostPort"], (mapping.get("protocol") or "TCP").upper()), mapping.get("listenAddress", "")

    return [one(mapping) for mapping in node.get("extraPortMappings") or [] if mapping.get("hostPort", 0) > 0]


def _once_in_a_node(node: Held) -> bool:
    found = _fixed_ports(node)
    listened = Counter(key for key, _ in found)
    return len(found) == len(set(found)) and not any(address in EVERYWHERE and listened[key] > 1 for key, address in found)


def _clash(held: Held, *, everywhere: bool) -> bool:
    """Whether two nodes map one port: on the same named address, or one of them on all addresses."""
    nodes = [set(_fixed_ports(node)) for node in held.get("nodes") or []]
    if everywhere:
        keys = Counter(key for ports in nodes for key in {key for key, _ in ports})
        return any(keys[key] > 1 for ports in nodes for key, address in ports if address in EVERYWHERE)
    named = Counter(port for ports in nodes for port in ports if port[1] not in EVERYWHERE)
    return any(count > 1 for count in named.values())


def ports_of_a_node() -> Rule:
    """No key twice; and the port of a mapping that listens on all addresses not twice, whatever the addresses."""

    def keys(key: str) -> str:
        return f"self.extraPortMappings.map(p, {_fixed('p')} ? [{key}] : [dyn(0)])"

    def once(key: str) -> str:
        return f"k.indexOf({key}) == k.lastIndexOf({key})"

    same = f"[{keys(_precise('p'))}].all(k, k.all(i, i.size() == 1 || {once('i')}))"
    covered = (
        f"[{keys(_port('p'))}].all(k, self.extraPortMappings.all(p, !({_fixed('p')} && {_everywhere('p')}) || "
        f"{once('[' + _port('p') + ']')}))"
    )
    return Rule(
        rule=f"!has(self.extraPortMappings) || ({same} && {covered})",
        message=(
            "extraPortMappings: a hostPort is mapped twice (same protocol, and the same listenAddress or one of them listens on all "
            f"addresses): {CURE}"
        ),
        path=".extraPortMappings",
        holds=_once_in_a_node,
    )


def _keys(node: str, wanted: Callable[[str], str], key: Callable[[str], str], nothing: int) -> str:
    """CEL for a node's first port mappings as a list of keys. One that is not wanted gets `nothing`, which is in no other list.

    By index, so that the size of the list, and with it the cost, is known.
    """
    held, mapping = f"{node}.extraPortMappings", f"{node}.extraPortMappings[i]"
    counted = f"i < {held}.size() && {_fixed(mapping)} && {wanted(mapping)}"
    return f"{list(range(COMPARED))}.map(i, {counted} ? [{key(mapping)}] : [dyn({nothing})])"


def _not_twice(mine: str, others: str) -> str:
    """CEL: no node m shares a key with a second node (the first is m itself)."""
    shared = f"self.nodes.filter(n, {_maps('n')} && sets.intersects(k, {others})).size() > 1"
    clash = f"self.nodes.exists(m, {_maps('m')} && [{mine}].exists(k, {shared}))"
    return f"!has(self.nodes) || self.nodes.filter(n, {_maps('n')}).size() > {MAPPED_NODES} || !{clash}"


def ports_across_nodes() -> tuple[Rule, Rule]:
    """Two rules, because the address is part of the key only where both mappings name one: first both name the same address, then one of
    them listens on all addresses.
    """

    def alone(mapping: str) -> str:
        return f"!{_everywhere(mapping)}"

    def every(_mapping: str) -> str:
        return "true"

    return (
        Rule(
            rule=_not_twice(_keys("m", alone, _precise, -1), _keys("n", alone, _precise, -2)),
            message=f"nodes: two nodes map the same hostPort of the same listenAddress: {CURE}",
            path=".nodes",
            holds=lambda held: not _clash(held, everywhere=False),
        ),
        Rule(
            rule=_not_twice(_keys("m", _everywhere, _port, -1), _keys("n", every, _port, -2)),
            message=f"nodes: two nodes map the same hostPort, and one of them listens on all addresses: {CURE}",
            path=".nodes",
            holds=lambda held: not _clash(held, everywhere=True),
        ),
    )
