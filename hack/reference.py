"""Writes docs/reference/*.md from the code: condition types, reasons and phases with their docstrings, settings with their help,
fields with their markers.

    python -m hack.reference [--check]

`--check` writes nothing and fails when a page is stale. What is documented lives beside what it documents; nothing is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import sys
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import jinja2

from hack import fieldtables
from provider import capi_flags, settings
from provider.api import conditions, faults, phases

Member = TypeVar("Member", bound=StrEnum)
PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"

CONDITIONS = """\
# Conditions, phases and reasons

Conditions are positive (`True` is good, the message is empty) except `Paused`, `Expiring`, `NodesSimulated`, `RollingOut`, `ScalingUp`,
`ScalingDown`, `Reconciling` and `Stalled`; the last two are there only while they are `True`.
A condition that cannot be told at the moment keeps what it had: an engine that does not answer flips nothing.
{% for title, rows in sections %}
## {{ title }}

| name | meaning |
|---|---|
{% for name, text in rows -%}
| `{{ name }}` | {{ text }} |
{% endfor -%}
{% endfor %}
## Reasons

Reasons stand in conditions, in Events (whose type is the severity), in `status.history`, in `status.failureReason` and in the manager's
log. The fault says where something has to change before the reason goes away:

{% for name, text in faults -%}
- `{{ name }}`: {{ text }}
{% endfor %}
| name | severity | fault | meaning |
|---|---|---|---|
{% for name, text in reasons -%}
| `{{ name }}` | {{ name.severity }} | {{ name.fault }} | {{ text }} |
{% endfor -%}
"""

SETTINGS = """\
# Settings of the manager

Every flag may also be given as an environment variable; the flag wins. `python -m provider --help` prints the same.

| flag | variable | default | meaning |
|---|---|---|---|
{% for flag, variable, default, text in rows -%}
| `{{ flag }}` | `{{ variable }}` | {{ default }} | {{ text }} |
{% endfor %}
## Flags of Cluster API's other managers

Cluster API Operator, for one, passes the same flags to every provider. They are accepted; one without effect is named in the log at the
manager's start. They have no variables.

| flag | what it does here |
|---|---|
{% for flag, text in others -%}
| `{{ flag }}` | {{ text }} |
{% endfor -%}
"""


def members(enum: type[Member]) -> list[tuple[Member, str]]:
    """(member, docstring) of each member; the string under an assignment is its docstring."""
    tree = ast.parse(inspect.getsource(enum)).body[0]
    assert isinstance(tree, ast.ClassDef)
    rows = []
    for node, follower in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(node, ast.Assign) and isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant):
            assert isinstance(node.targets[0], ast.Name)
            rows.append((enum[node.targets[0].id], " ".join(str(follower.value.value).split())))
    missing = set(enum) - {member for member, _ in rows}
    if missing:
        raise SystemExit(f"{enum.__name__}: these members have no docstring: {', '.join(sorted(missing))}")
    return rows


def setting_rows() -> list[tuple[str, str, str, str]]:
    """(flag, variable, default, meaning) of each setting."""
    rows = []
    for name, (flag, default) in settings.flags().items():
        shown = flag.shown or ("" if default in ("", None) else f"`{settings.show(default)}`")
        rows.append((settings.flag_of(name), settings.ENV_PREFIX + name.upper(), shown, flag.text))
    return rows


def other_flags() -> list[tuple[str, str]]:
    """Flags of Cluster API's other managers and what they do here."""
    translated = [(settings.flag_of(name), other.help) for name, other in capi_flags.TRANSLATED.items()]
    return translated + [(settings.flag_of(name), f"No effect. {why}") for name, why in capi_flags.WITHOUT_EFFECT.items()]


def pages() -> dict[str, str]:
    """File name to content."""
    render = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string  # noqa: S701 - Markdown
    return {
        "conditions.md": render(CONDITIONS).render(
            sections=[("Conditions", members(conditions.ConditionType)), ("Phases", members(phases.Phase))],
            faults=members(faults.Fault),
            reasons=members(conditions.Reason),
        ),
        "kindcluster.md": render(fieldtables.PAGE).render(tables=fieldtables.tables()),
        "settings.md": render(SETTINGS).render(rows=setting_rows(), others=other_flags()),
    }


def main(arguments: list[str]) -> int:
    stale = [name for name, text in pages().items() if not (PAGES / name).exists() or (PAGES / name).read_text() != text]
    if "--check" in arguments:
        if stale:
            print(f"stale: {', '.join(stale)} in docs/reference; run `make manifests` and commit the result", file=sys.stderr)
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (PAGES / name).write_text(pages()[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
