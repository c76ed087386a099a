"""What is observed has no limits of its own, and a status has: it is written all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import (
    Endpoint,
    Identity,
    NodeObservation,
    NodeRunState,
    Ownership,
    Presence,
    RuntimeObservation,
    Step,
    StepState,
)
from provider.ports.workload import WorkloadNode, WorkloadObservation
from tests.fakes.arbitrary import TEXTS
from tests.fakes.crd import SCHEMAS, refused
from tests.fakes.world import KEY, World, kindcluster

pytestmark = pytest.mark.unmeasured


def faults(world: World) -> list[str]:
    return list(refused(SCHEMAS[KINDClusterStatus], world.status(), "status"))


NODES = st.builds(
    NodeObservation,
    name=TEXTS,
    role=st.sampled_from(NodeRole),
    id=TEXTS,
    state=st.sampled_from(NodeRunState),
    image=TEXTS,
    started_at=TEXTS,
)
ENDPOINTS = st.one_of(st.none(), st.builds(Endpoint, host=TEXTS, port=st.integers(-1, 70000)))
OBSERVATIONS = st.builds(
    RuntimeObservation,
    presence=st.sampled_from(Presence),
    ownership=st.sampled_from(Ownership),
    nodes=st.lists(NODES, max_size=3).map(tuple) | st.lists(NODES, min_size=1, max_size=2).map(lambda nodes: tuple(nodes * 50)),
    endpoint=ENDPOINTS,
    internal_endpoint=ENDPOINTS,
    reason=st.none() | st.sampled_from(Reason),
    detail=TEXTS,
)
ANSWERS = st.builds(
    WorkloadObservation,
    reachable=st.sampled_from([True, False, None]),
    detail=TEXTS,
    version=TEXTS,
    nodes=st.lists(st.builds(WorkloadNode, name=TEXTS, ready=st.booleans(), version=TEXTS, message=TEXTS), max_size=3).map(tuple),
    default_service_account=st.booleans(),
)
STEPS = st.builds(Step, name=TEXTS, state=st.sampled_from(StepState), seconds=st.none() | st.floats(-5, 1e12))
ERRORS = st.builds(Terminal, st.sampled_from(Reason), TEXTS) | st.builds(Transient, st.sampled_from(Reason), TEXTS)


@settings(deadline=None, max_examples=150)
@given(seen=OBSERVATIONS, answer=ANSWERS)
async def test_any_observation_becomes_a_status_that_is_accepted(seen: RuntimeObservation, answer: WorkloadObservation) -> None:
    """Whatever engine and cluster say about a Ready cluster, the CRD takes the status, and the world comes to rest."""
    world = World()
    world.apply(kindcluster())
    await world.settle()

    world.workload.answer = answer
    world.runtime.lie("observe", seen, call=None)
    for _ in range(3):
        await world.look()

    assert faults(world) == []


@settings(deadline=None, max_examples=100)
@given(steps=st.lists(STEPS, max_size=3), times=st.sampled_from([1, 40]), error=st.none() | ERRORS)
async def test_any_task_becomes_a_status_that_is_accepted(steps: list[Step], times: int, error: ProviderError | None) -> None:
    """Steps are named by kind and errors by whatever failed."""
    world = World(run_tasks=False)
    world.apply(kindcluster())
    await world.settle()

    for number, step in enumerate(steps * times):
        world.tasks.step(KEY, replace(step, name=f"{number}{step.name}"))
    await world.look()
    world.tasks.finish(KEY, error)
    await world.settle()

    assert faults(world) == []


async def test_a_long_version_does_not_keep_the_status_from_being_written() -> None:
    """gitVersion is what the image's builder chose."""
    world = World()
    world.apply(kindcluster())
    await world.settle()
    assert world.workload.answer is None
    nodes = (WorkloadNode("demo-control-plane", ready=True),)

    world.workload.answer = WorkloadObservation(True, version=f"v1.34.4+{'x' * 200}", nodes=nodes, default_service_account=True)
    await world.look()

    assert (world.status()["phase"], len(world.status()["version"])) == ("Ready", 64)


async def test_an_address_that_cannot_be_one_is_not_published() -> None:
    """A port of -1 is what kind asks an engine for, not what an engine may answer with: said, and asked again."""
    world = World(run_tasks=False)
    world.apply(kindcluster())
    await world.settle()
    await world.tasks.run(KEY)
    seen = await world.runtime.observe(Identity("demo", world.runtime.clusters["demo"].nodes[0].marker or "", "default/demo"))
    world.runtime.lie("observe", replace(seen, endpoint=Endpoint("127.0.0.1", -1)), call=None)

    await world.look()

    assert "127.0.0.1:-1" in world.condition("KubeconfigPublished")["message"]
    assert [error.reason for error in world.errors] == [Reason.ENGINE_FAILED]
