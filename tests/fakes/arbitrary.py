"""Hostile values for property tests: any JSON, and JSON that nearly follows a schema."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Values = st.SearchStrategy[Any]

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "x" * 70, "x" * 1100, "\x00", "-", "NaN", "v1.34.4", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00"]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([-1, 0, 2**31, 2**63, -(2**63) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)


def json_values() -> Values:
    """Any JSON value."""
    return st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)))


def near(schema: dict[str, Any]) -> Values:
    """What nearly follows a structural schema: its names and types, mostly; no limits, and sometimes something else altogether."""
    good = _typed(schema)
    return st.one_of(good, good, good, good, json_values())


def _typed(schema: dict[str, Any]) -> Values:
    match schema.get("type"):
        case "object" if "properties" in schema:
            fields = {name: near(held) for name, held in schema["properties"].items()}
            required = {name: held for name, held in fields.items() if name in schema.get("required", ())}
            optional = {name: held for name, held in fields.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(TEXTS, near(schema["additionalProperties"]), max_size=3)
        case "array":
            few = st.lists(near(schema["items"]), max_size=3)
            return st.one_of(few, few.map(lambda entries: entries * 40))
        case "string" if "enum" in schema:
            return st.sampled_from(schema["enum"])
        case "string" if schema.get("format") == "date-time":
            return st.sampled_from(
                ["2026-01-01T00:00:00Z", "1970-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "now"]
            )
        case "string":
            return TEXTS
        case "integer":
            return NUMBERS
        case "boolean":
            return st.booleans()
    return json_values()
