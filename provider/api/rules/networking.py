"""Rules of addresses and subnets."""

from __future__ import annotations

from provider.api.rules.rule import Rule, quoting

FAMILY = "(has(self.ipFamily) ? self.ipFamily : 'ipv4')"


def _parts(field: str) -> str:
    # Without a limit, the estimated cost counts as many parts as the text has characters. Two are allowed; 3 still shows a third one.
    return f"self.{field}.split(',', 3)"


def _valid(field: str) -> str:
    return f"{_parts(field)}.all(c, isCIDR(c))"


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
        ),
    )


NETWORKING = (
    quoting(
        "apiServerAddress",
        "!has(self.apiServerAddress) || isIP(self.apiServerAddress)",
        "must be an IP address of the host",
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
    ),
    quoting(
        "serviceSubnet",
        (
            f"!has(self.serviceSubnet) || !{_valid('serviceSubnet')} || {_parts('serviceSubnet')}.all(c, cidr(c).ip().family() == 4 ? "
            "cidr(c).prefixLength() >= 12 && cidr(c).prefixLength() <= 28 : cidr(c).prefixLength() >= 108 && cidr(c).prefixLength() <= 124)"
        ),
        "must have a mask from /12 to /28 (IPv6: /108 to /124): kubeadm refuses other sizes",
    ),
)
