"""Which Events a change of the conditions makes, and of which type."""

from __future__ import annotations

import pytest

from provider.api.conditions import ConditionType, Reason
from provider.api.faults import Severity
from provider.api.meta import Condition, Conditions, ConditionStatus
from provider.reconcile.report import transitions


def one(kind: ConditionType, truth: ConditionStatus, reason: Reason) -> Conditions:
    return {kind: Condition(kind, truth, reason)}


@pytest.mark.parametrize("reason", [Reason.ENGINE_MISSING, Reason.KIND_MISSING, Reason.TOOLS_MISSING, Reason.ENGINE_UNREACHABLE])
def test_a_runtime_that_cannot_work_is_a_warning(reason: Reason) -> None:
    """The type of an Event follows from its reason, for each reason that EngineReachable=False may have."""
    kind = ConditionType.ENGINE_REACHABLE
    notes = transitions(one(kind, ConditionStatus.TRUE, Reason.REACHABLE), one(kind, ConditionStatus.FALSE, reason))
    assert [(reason, Severity.WARNING)] == [(note.reason, note.reason.severity) for note in notes]


def test_progress_is_a_normal_event() -> None:
    """Nobody is alarmed by a cluster that becomes ready."""
    kind = ConditionType.READY
    notes = transitions(one(kind, ConditionStatus.FALSE, Reason.CREATING), one(kind, ConditionStatus.TRUE, Reason.READY))
    assert [Severity.NORMAL] == [note.reason.severity for note in notes]
