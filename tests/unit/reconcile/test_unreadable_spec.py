"""A stored spec that this version cannot read, as after a CRD of another version: said with the cure, and nothing is made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.world import World, kindcluster

TEXT, FLAG = 'text: quote it, such as "true"', "true or false, without quotes"


@pytest.mark.parametrize(
    ("spec", "field", "cure"),
    [
        ({"runtimeConfig": {"api/alpha": True}}, "runtimeConfig.api/alpha", TEXT),
        ({"runtimeConfig": {"api/alpha": 1}}, "runtimeConfig.api/alpha", TEXT),
        ({"nodes": [{"labels": {"gpu": True}}]}, "nodes.0.labels.gpu", TEXT),
        ({"featureGates": {"MemoryQoS": "quoted"}}, "featureGates.MemoryQoS", FLAG),
    ],
)
async def test_a_value_with_the_wrong_quotes_is_named_with_its_cure(spec: dict[str, Any], field: str, cure: str) -> None:
    """YAML's quotes are what people trip over: kind itself takes a bare true for a text, the API server does not."""
    world = World()
    world.apply(kindcluster(**spec))
    await world.look()

    (ready,) = [condition for condition in world.status()["conditions"] if condition["type"] == "Ready"]
    assert "InvalidSpec" == ready["reason"]
    assert f"{field} ({cure})" in ready["message"]
    assert not world.tasks.started
