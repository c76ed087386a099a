"""The conditions Reconciling and Stalled, by which kstatus (Flux, Argo CD, kpt) tells "in progress" and "failed" from "done". Pure.

kstatus calls an object whose generation is observed finished unless one of them is True or Ready is not; of a Ready that is False it cannot
tell whether anything is still done about it. Both are there only while they are True, as kstatus wants it (docs/adr/0090).
"""

from __future__ import annotations

from provider.api.conditions import ConditionType
from provider.api.faults import Fault
from provider.api.meta import Condition, Conditions, ConditionStatus

MARKS = (ConditionType.RECONCILING, ConditionType.STALLED)
"""What goes from a status when a pass does not find it."""
_DECIDE = (ConditionType.READY, ConditionType.UP_TO_DATE)
"""The first of them that is not True says what is wrong: an outdated cluster is of interest only while the cluster is usable."""
_SCALE = (ConditionType.SCALING_UP, ConditionType.SCALING_DOWN)
"""Of a cluster that is usable and up to date: workers join or leave."""


def marks(now: Conditions) -> dict[ConditionType, Condition]:
    """At most one of MARKS. `now`: all other conditions, as they will be written."""
    wrong = next((now[kind] for kind in _DECIDE if kind in now and not now[kind].true), None)
    wrong = wrong or next((now[kind] for kind in _SCALE if kind in now and now[kind].true), None)
    if wrong is None:
        return {}
    if wrong.reason.fault is Fault.SPEC:
        return _mark(ConditionType.STALLED, wrong)
    # A Ready that is False says "in progress" by itself.
    return {} if wrong.type is ConditionType.READY else _mark(ConditionType.RECONCILING, wrong)


def _mark(kind: ConditionType, wrong: Condition) -> dict[ConditionType, Condition]:
    return {kind: Condition(kind, ConditionStatus.TRUE, wrong.reason, wrong.message)}
