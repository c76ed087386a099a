"""Rules of addresses and subnets."""

from __future__ import annotations

from provider.api.rules.addresses import Network, is_ip, network
from provider.api.rules.rule import Held, Rule, quoting

FAMILY = "(has(self.ipFamily) ? self.ipFamily : 'ipv4')"


def _parts(field: str) -> str:
    # Without a limit, the estimated cost counts as many parts as the text has characters. Two are allowed; 3 still shows a third one.
    return f"self.{field}.split(',', 3)"


def _valid(field: str) -> str:
    return f"{_parts(field)}.all(c, isCIDR(c))"


def _networks(held: Held, field: str) -> list[Network] | None:
    """Of an optional field; None where a part of it is no CIDR."""
    found = [network(part) for part in held[field].split(",", 2)] if field in held else []
    return None if None in found else [one for one in found if one is not None]


def _of_family(held: Held, field: str) -> bool:
    """True also for what is absent, or no CIDR: another rule is about that."""
    found = _networks(held, field)
    if not found:
        return True
    family, versions = held.get("ipFamily", "ipv4"), sorted(one.version for one in found)
    if family == "dual":
        return len(versions) == 1 or versions == [4, 6]
    return versions == [6 if family == "ipv6" else 4]


def _separate(held: Held) -> bool:
    pods, services = _networks(held, "podSubnet") or [], _networks(held, "serviceSubnet") or []
    return not any(one.version == other.version and one.overlaps(other) for one in pods for other in services)


SERVICE_MASKS = {4: range(12, 29), 6: range(108, 125)}


def _serviceable(held: Held) -> bool:
    return all(one.prefixlen in SERVICE_MASKS[one.version] for one in _networks(held, "serviceSubnet") or [])


def _unfit(held: Held, field: str) -> str:
    family = held.get("ipFamily", "ipv4")
    cure = "give exactly one CIDR of that family, or set ipFamily"
    if family == "dual":
        cure = "give one IPv4 and one IPv6 CIDR separated by a comma, or a single one"
    return f'{field} "{held[field]}" does not fit ipFamily {family}: {cure}'


def _subnet(field: str, example: str) -> tuple[Rule, Rule]:
    of_family = (
        f"({FAMILY} == 'dual' ? {_parts(field)}.size() == 1 || ({_parts(field)}.size() == 2 && "
        f"{_parts(field)}.exists_one(c, cidr(c).ip().family() == 4)) : "
        f"{_parts(field)}.size() == 1 && {_parts(field)}.all(c, cidr(c).ip().family() == ({FAMILY} == 'ipv6' ? 6 : 4)))"
    )
    # The second rule lets text pass that is no CIDR: cidr() of it is an evaluation error, whose message explains nothing.
    return (
        quoting(
            field,
            f"!has(self.{field}) || {_valid(field)}",
            "must be a CIDR",
            lambda held: _networks(held, field) is not None,
            example=f' such as "{example}", or two separated by a comma for dual',
        ),
        Rule(
            rule=f"!has(self.{field}) || !{_valid(field)} || {of_family}",
            message=f"{field} does not fit ipFamily: one CIDR of the family, or for dual one of each (or a single one)",
            expression=(
                f"'{field} \"' + self.{field} + '\" does not fit ipFamily ' + {FAMILY} + ': ' + ({FAMILY} == 'dual' ? 'give one IPv4 "
                f"and one IPv6 CIDR separated by a comma, or a single one' : 'give exactly one CIDR of that family, or set ipFamily')"
            ),
            path=f".{field}",
            holds=lambda held: _of_family(held, field),
            told=lambda held: _unfit(held, field),
        ),
    )


NETWORKING = (
    quoting(
        "apiServerAddress",
        "!has(self.apiServerAddress) || isIP(self.apiServerAddress)",
        "must be an IP address of the host",
        lambda held: "apiServerAddress" not in held or is_ip(held["apiServerAddress"]),
        example=', such as "127.0.0.1"',
    ),
    *_subnet("podSubnet", "10.244.0.0/16"),
    *_subnet("serviceSubnet", "10.96.0.0/16"),
    Rule(
        rule=(
            f"!has(self.podSubnet) || !has(self.serviceSubnet) || !{_valid('podSubnet')} || !{_valid('serviceSubnet')} || "
            f"!{_parts('podSubnet')}.exists(p, {_parts('serviceSubnet')}.exists(s, cidr(p).containsCIDR(s) || cidr(s).containsCIDR(p)))"
        ),
        message="podSubnet and serviceSubnet overlap: choose separate ranges",
        expression=(
            "'podSubnet \"' + self.podSubnet + '\" and serviceSubnet \"' + self.serviceSubnet + '\" overlap: choose separate ranges'"
        ),
        path=".serviceSubnet",
        holds=_separate,
        told=lambda held: (
            f'podSubnet "{held["podSubnet"]}" and serviceSubnet "{held["serviceSubnet"]}" overlap: choose separate ranges'
        ),
    ),
    quoting(
        "serviceSubnet",
        (
            f"!has(self.serviceSubnet) || !{_valid('serviceSubnet')} || {_parts('serviceSubnet')}.all(c, cidr(c).ip().family() == 4 ? "
            "cidr(c).prefixLength() >= 12 && cidr(c).prefixLength() <= 28 : cidr(c).prefixLength() >= 108 && cidr(c).prefixLength() <= 124)"
        ),
        "must have a mask from /12 to /28 (IPv6: /108 to /124): kubeadm refuses other sizes",
        _serviceable,
    ),
)
