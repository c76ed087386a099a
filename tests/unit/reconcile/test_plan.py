"""plan(): what should happen next, as a table and as properties over all combinations of facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.conditions import Reason
from provider.api.kind import NodeRole, node_names
from provider.ports.runtime import NodeObservation, NodeRunState, Ownership, Presence, RuntimeObservation, Verb, Workers
from provider.ports.tasks import TaskState, TaskStatus
from provider.reconcile.attempts import Attempts
from provider.reconcile.plan import Action, Facts, Heal, Power, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPECTED = (("demo-control-plane", NodeRole.CONTROL_PLANE), ("demo-worker", NodeRole.WORKER))


def node(name: str, state: NodeRunState = NodeRunState.RUNNING) -> NodeObservation:
    role = NodeRole.CONTROL_PLANE if "control-plane" in name else NodeRole.WORKER
    return NodeObservation(name, role, f"id-{name}", state)


ABSENT = RuntimeObservation(Presence.ABSENT)
UNKNOWN = RuntimeObservation(Presence.UNKNOWN, reason=Reason.ENGINE_UNREACHABLE, detail="docker does not answer")
FOREIGN = RuntimeObservation(Presence.PRESENT, Ownership.FOREIGN, detail="a cluster made by hand")
WHOLE = RuntimeObservation(Presence.PRESENT, Ownership.OURS, tuple(node(name) for name, _ in EXPECTED))
STOPPED = replace(WHOLE, nodes=(WHOLE.nodes[0], node("demo-worker", NodeRunState.STOPPED)))
PARTIAL = replace(WHOLE, nodes=WHOLE.nodes[:1])
REMAINS = replace(ABSENT, remains=True)
IDLE = replace(ABSENT, idle_registry=True)
RESTING = replace(WHOLE, nodes=tuple(node(name, NodeRunState.PAUSED) for name, _ in EXPECTED))


LOADING, APPLYING = TaskStatus(Verb.LOAD, TaskState.RUNNING), TaskStatus(Verb.APPLY, TaskState.RUNNING)
SCALING = TaskStatus(Verb.SCALE, TaskState.RUNNING, tag="hash")
FAILED_SCALE = replace(SCALING, state=TaskState.FAILED)
UP = Workers(join=("demo-worker2",))


def facts(observation: RuntimeObservation | None = ABSENT, **changes: object) -> Facts:
    base = Facts(observation, EXPECTED, False, Heal.REPAIR, Attempts(), None, "hash", NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_facts", "action", "reason"),
    [
        pytest.param(facts(ABSENT), Action.CREATE, Reason.CREATING, id="nothing there"),
        pytest.param(facts(WHOLE), Action.CREATE, Reason.CREATING, id="remains of an interrupted create are replaced"),
        pytest.param(facts(WHOLE, complete=True), Action.NOTHING, Reason.READY, id="a finished cluster is left alone"),
        pytest.param(facts(WHOLE, complete=True, unloaded=True), Action.LOAD, Reason.READY, id="missing images are loaded"),
        pytest.param(
            facts(WHOLE, complete=True, scaling=UP, answers=True), Action.SCALE, Reason.SCALING_UP, id="workers join in place"
        ),
        pytest.param(
            facts(WHOLE, complete=True, scaling=Workers(leave=("demo-worker2",)), answers=True),
            Action.SCALE,
            Reason.SCALING_DOWN,
            id="workers leave in place",
        ),
        pytest.param(
            facts(WHOLE, complete=True, scaling=UP), Action.NOTHING, Reason.READY, id="nobody joins what does not answer"
        ),
        pytest.param(
            facts(WHOLE, complete=True, scaling=UP, answers=True, task=LOADING),
            Action.CANCEL,
            Reason.READY,
            id="workers do not wait for images",
        ),
        pytest.param(
            facts(WHOLE, complete=True, scaling=UP, answers=True, task=LOADING, ended={Verb.SCALE: FAILED_SCALE}),
            Action.NOTHING,
            Reason.READY,
            id="workers that could not join do",
        ),
        pytest.param(
            facts(WHOLE, complete=True, scaling=UP, answers=True, unloaded=True, task=SCALING),
            Action.NOTHING,
            Reason.READY,
            id="a scale is let go on",
        ),
        pytest.param(
            facts(WHOLE, complete=True, task=replace(SCALING, tag="old")),
            Action.CANCEL,
            Reason.READY,
            id="a scale that nobody wants any more is stopped",
        ),
        pytest.param(
            facts(STOPPED, complete=True, task=SCALING), Action.CANCEL, Reason.READY, id="a repair does not wait for workers"
        ),
        pytest.param(
            facts(UNKNOWN, complete=True, task=replace(SCALING, tag="old")),
            Action.WAIT,
            Reason.ENGINE_UNREACHABLE,
            id="what is unknown stops nothing",
        ),
        pytest.param(
            facts(STOPPED, complete=True, unloaded=True), Action.START, Reason.STARTING, id="a repair comes before images"
        ),
        pytest.param(
            facts(STOPPED, complete=True, task=LOADING), Action.CANCEL, Reason.READY, id="a repair does not wait for images"
        ),
        pytest.param(facts(WHOLE, complete=True, task=LOADING), Action.NOTHING, Reason.READY, id="a load is let go on"),
        pytest.param(
            facts(WHOLE, complete=True, task=LOADING, update="version"),
            Action.NOTHING,
            Reason.READY,
            id="a replacement that is only to be fetched waits for a load",
        ),
        pytest.param(facts(WHOLE, complete=True, unapplied=True), Action.APPLY, Reason.READY, id="add-ons are applied"),
        pytest.param(
            facts(WHOLE, complete=True, unapplied=True, unloaded=True), Action.LOAD, Reason.READY, id="images before add-ons"
        ),
        pytest.param(
            facts(WHOLE, complete=True, unapplied=True, task=LOADING), Action.NOTHING, Reason.READY, id="add-ons wait for a load"
        ),
        pytest.param(
            facts(WHOLE, complete=True, unloaded=True, task=APPLYING), Action.NOTHING, Reason.READY, id="a load waits for add-ons"
        ),
        pytest.param(
            facts(STOPPED, complete=True, task=APPLYING), Action.CANCEL, Reason.READY, id="a repair does not wait for add-ons"
        ),
        pytest.param(
            facts(WHOLE, complete=True, unapplied_outdated=True, task=APPLYING),
            Action.CANCEL,
            Reason.READY,
            id="add-ons are not applied as nobody wants them any more",
        ),
        pytest.param(
            facts(STOPPED, complete=True, unapplied=True), Action.START, Reason.STARTING, id="what does not run gets no add-ons"
        ),
        pytest.param(facts(UNKNOWN, complete=True), Action.WAIT, Reason.ENGINE_UNREACHABLE, id="unknown waits"),
        pytest.param(facts(FOREIGN), Action.WAIT, Reason.NAME_CONFLICT, id="foreign waits"),
        pytest.param(facts(ABSENT, rival="a/b"), Action.WAIT, Reason.NAME_CONFLICT, id="an older claim wins"),
        pytest.param(facts(PARTIAL, rival="a/b"), Action.CREATE, Reason.CREATING, id="own containers beat an older claim"),
        pytest.param(facts(REMAINS, rival="a/b"), Action.WAIT, Reason.NAME_CONFLICT, id="what is no container does not"),
        pytest.param(facts(STOPPED, complete=True), Action.START, Reason.STARTING, id="stopped nodes are started"),
        pytest.param(
            facts(STOPPED, complete=True, heal=Heal.REPORT), Action.WAIT, Reason.REPAIR_NEEDED, id="Report starts nothing"
        ),
        pytest.param(
            facts(STOPPED, complete=True, heal=Heal.REPORT, resumes=True),
            Action.START,
            Reason.STARTING,
            id="a resume is no repair",
        ),
        pytest.param(facts(WHOLE, complete=True, power=Power.STOPPED), Action.STOP, Reason.STOPPING, id="stopped when asked to"),
        pytest.param(facts(WHOLE, complete=True, power=Power.PAUSED), Action.PAUSE, Reason.PAUSING, id="paused when asked to"),
        pytest.param(
            facts(STOPPED, complete=True, power=Power.PAUSED), Action.PAUSE, Reason.PAUSING, id="only what runs is paused"
        ),
        pytest.param(facts(RESTING, complete=True, power=Power.PAUSED), Action.WAIT, Reason.PAUSED, id="paused stays paused"),
        pytest.param(
            facts(RESTING, complete=True, power=Power.STOPPED), Action.STOP, Reason.STOPPING, id="paused is not stopped"
        ),
        pytest.param(facts(RESTING, complete=True), Action.START, Reason.STARTING, id="paused nodes go on"),
        pytest.param(facts(ABSENT, power=Power.STOPPED), Action.CREATE, Reason.CREATING, id="made before it rests"),
        pytest.param(
            facts(ABSENT, complete=True, power=Power.STOPPED), Action.WAIT, Reason.REPAIR_NEEDED, id="gone is not stopped"
        ),
        pytest.param(facts(PARTIAL, complete=True), Action.WAIT, Reason.REPAIR_NEEDED, id="Repair replaces nothing"),
        pytest.param(facts(PARTIAL, complete=True, heal=Heal.RECREATE), Action.CREATE, Reason.RECREATING, id="Recreate replaces"),
        pytest.param(
            facts(ABSENT, complete=True, heal=Heal.RECREATE), Action.CREATE, Reason.RECREATING, id="Recreate after removal"
        ),
        pytest.param(facts(ABSENT, complete=True), Action.WAIT, Reason.REPAIR_NEEDED, id="Repair reports a removal"),
        pytest.param(
            facts(ABSENT, attempts=Attempts(1, "boom", next_at=NOW + timedelta(seconds=9))),
            Action.WAIT,
            Reason.CREATE_RETRYING,
            id="a retry waits for its time",
        ),
        pytest.param(facts(ABSENT, attempts=Attempts(1, "boom", next_at=NOW)), Action.CREATE, Reason.CREATING, id="retry is due"),
        pytest.param(
            facts(ABSENT, attempts=Attempts(3, "boom", given_up=True)), Action.WAIT, Reason.CREATE_FAILED, id="given up"
        ),
        pytest.param(
            facts(PARTIAL, attempts=Attempts(3, "boom", given_up=True)), Action.CLEAN, Reason.CLEANING_UP, id="cleans up"
        ),
        pytest.param(
            facts(REMAINS, attempts=Attempts(3, "boom", given_up=True)), Action.CLEAN, Reason.CLEANING_UP, id="to the last"
        ),
        pytest.param(
            facts(IDLE, attempts=Attempts(3, "boom", given_up=True)), Action.CLEAN, Reason.CLEANING_UP, id="and the registry"
        ),
        pytest.param(
            facts(PARTIAL, attempts=Attempts(3, "boom", given_up=True), retain_on_failure=True),
            Action.WAIT,
            Reason.CREATE_FAILED,
            id="keeps remains when asked to",
        ),
    ],
)
def test_decision(given_facts: Facts, action: Action, reason: Reason) -> None:
    """Each situation has exactly one answer."""
    decision = plan(given_facts)

    assert (action, reason) == (decision.action, decision.reason)


def test_a_running_create_for_an_older_spec_is_cancelled() -> None:
    """An edit while creating must not wait for a cluster nobody wants any more."""
    task = TaskStatus(Verb.CREATE, TaskState.RUNNING, tag="old")

    assert plan(facts(None, task=task)).action is Action.CANCEL
    assert plan(facts(None, task=replace(task, tag="hash"))).action is Action.NOTHING


def test_a_container_that_does_not_stay_up_is_not_started_in_a_tight_loop() -> None:
    """After a start there is a rest, then another start."""
    task = TaskStatus(Verb.START, TaskState.SUCCEEDED, finished_at=NOW - timedelta(seconds=1))

    resting = plan(facts(STOPPED, complete=True, task=task))
    assert resting.action is Action.WAIT
    assert resting.after is not None and timedelta(0) < resting.after < timedelta(seconds=10)
    assert plan(facts(STOPPED, complete=True, task=task, now=NOW + timedelta(seconds=10))).action is Action.START


ANY_FACTS = st.builds(
    Facts,
    observation=st.sampled_from([ABSENT, UNKNOWN, FOREIGN, WHOLE, STOPPED, PARTIAL, RESTING]),
    expected=st.just(EXPECTED),
    complete=st.booleans(),
    heal=st.sampled_from(Heal),
    attempts=st.builds(
        Attempts,
        count=st.integers(0, 5),
        failed_message=st.just("why"),
        given_up=st.booleans(),
        next_at=st.sampled_from([None, NOW, NOW + timedelta(minutes=1)]),
    ),
    task=st.none()
    | st.builds(
        TaskStatus,
        verb=st.sampled_from(Verb),
        state=st.sampled_from(TaskState),
        finished_at=st.sampled_from([None, NOW]),
        tag=st.sampled_from(["hash", "old"]),
    ),
    config_hash=st.just("hash"),
    now=st.just(NOW),
    rival=st.sampled_from(["", "other/demo"]),
    retain_on_failure=st.booleans(),
    power=st.sampled_from(Power),
    resumes=st.booleans(),
    answers=st.booleans(),
    scaling=st.sampled_from([None, UP, Workers(leave=("demo-worker2",))]),
)
CHANGES = {Action.CREATE, Action.START, Action.STOP, Action.PAUSE, Action.CLEAN, Action.SCALE}


@given(ANY_FACTS)
def test_what_is_unknown_or_foreign_is_never_changed(any_facts: Facts) -> None:
    """The two rules nothing may override: no effect without a certain observation, none on what is not ours."""
    if any_facts.observation in (UNKNOWN, FOREIGN):
        assert plan(any_facts).action not in CHANGES


@given(ANY_FACTS)
def test_at_most_one_operation_at_a_time(any_facts: Facts) -> None:
    """While a task works nothing else is begun."""
    if any_facts.task is not None and any_facts.task.state in (TaskState.QUEUED, TaskState.RUNNING):
        assert plan(any_facts).action not in CHANGES


@given(ANY_FACTS)
def test_a_finished_cluster_is_replaced_only_with_consent(any_facts: Facts) -> None:
    """Only healPolicy: Recreate may destroy what a user may have put into a cluster."""
    replaces = plan(any_facts).action in (Action.CREATE, Action.CLEAN)
    if any_facts.complete and replaces:
        assert any_facts.heal is Heal.RECREATE


@given(ANY_FACTS)
def test_a_finished_cluster_that_is_to_rest_is_never_made_or_started(any_facts: Facts) -> None:
    """However much of it is gone or stopped, and whatever the other policies allow."""
    if any_facts.complete and any_facts.power is not Power.RUNNING:
        assert plan(any_facts).action not in (Action.CREATE, Action.START, Action.SCALE)


@given(ANY_FACTS)
def test_every_wait_says_why(any_facts: Facts) -> None:
    """A person who reads the condition must learn what is being waited for."""
    decision = plan(any_facts)
    if decision.action is Action.WAIT:
        assert decision.message


def test_expected_names_are_those_kind_gives() -> None:
    """The first node of a role has no number; several control planes bring a load balancer."""
    config = {
        "name": "d",
        "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "control-plane"}, {"role": "worker"}],
    }

    names = [name for name, _ in node_names(config, load_balancer=True)]

    assert names == ["d-control-plane", "d-worker", "d-control-plane2", "d-worker2", "d-external-load-balancer"]
    assert len(node_names(config, load_balancer=False)) == 4
