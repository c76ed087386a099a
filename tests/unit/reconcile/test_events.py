"""Which Events a change of the status makes, and of which type."""

from __future__ import annotations

import pytest

from provider.api.conditions import ConditionType, Reason, Severity
from provider.api.meta import JsonObject
from provider.reconcile.status_writer import transitions


def status(kind: ConditionType, truth: str, reason: str) -> JsonObject:
    return {"conditions": [{"type": kind, "status": truth, "reason": reason, "message": ""}]}


@pytest.mark.parametrize("reason", [Reason.ENGINE_MISSING, Reason.KIND_MISSING, Reason.TOOLS_MISSING, Reason.ENGINE_UNREACHABLE])
def test_a_runtime_that_cannot_work_is_a_warning(reason: Reason) -> None:
    """The type of an Event follows from its reason, for each reason that EngineReachable=False may have."""
    kind = ConditionType.ENGINE_REACHABLE
    notes = transitions(status(kind, "True", "Reachable"), status(kind, "False", str(reason)))
    assert [(reason, Severity.WARNING)] == [(note.reason, note.reason.severity) for note in notes]


def test_progress_is_a_normal_event() -> None:
    """Nobody is alarmed by a cluster that becomes ready."""
    notes = transitions(status(ConditionType.READY, "False", "Creating"), status(ConditionType.READY, "True", "Ready"))
    assert [Severity.NORMAL] == [note.reason.severity for note in notes]
