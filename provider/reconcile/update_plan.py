"""status.plan: what of the spec differs from what is there, what bringing it costs, and what has to be said for that. Pure.

Two kinds of differences are in it: those from what the cluster was made from (provider.reconcile.drift), and those that a cluster takes as
it runs, which show in what was observed (powerState, images, addons, workers). It is made from what a pass has decided, and decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from provider.api import names
from provider.api.conditions import ConditionType
from provider.api.kind import NodeRole
from provider.api.markers import UpdateClass
from provider.api.meta import Conditions, JsonObject, ObjectKey, part, shorten
from provider.ports.runtime import Presence
from provider.reconcile.drift import WORKERS, Change, as_text, greatest
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import AT_REST, Power, awake
from provider.reconcile.power import resumes, wanted_power
from provider.reconcile.scaling import workers_of

POWER, IMAGES, ADDONS = "powerState", "images", "addons"
TOLD = {IMAGES: ConditionType.IMAGES_PRELOADED, ADDONS: ConditionType.ADDONS_READY}
"""Fields that a cluster takes as it runs, and the conditions that say whether it has them."""
SCALING = (ConditionType.SCALING_UP, ConditionType.SCALING_DOWN)
MAX_APPROVED = 80
"""Characters of an approval that are repeated to whoever has set it."""
REPLACING = "The cluster is being replaced: it is deleted and made anew, with the same name, identity and endpoint."


def update_plan(outcome: Outcome, now: Conditions) -> JsonObject | None:
    """status.plan after this pass; None: nothing differs. `now`: the conditions as they will be written."""
    scope, drift = outcome.scope, outcome.drift
    if scope.deleting:
        return None
    if drift is None or not scope.knows_what_is_wanted:
        return scope.status.get("plan")
    changes = (*(drift.changes or ()), *drift.replacing, *_in_place(outcome, now))
    if not changes:
        return None
    plan: JsonObject = {
        "class": str(greatest(changes)),
        "generation": scope.generation,
        "changes": [_shown(change, outcome) for change in changes],
        "message": " ".join(_messages(outcome, now, changes)),
    }
    return plan | ({"approval": drift.approval} if drift.approval else {})


def how_to_approve(key: ObjectKey, approval: str) -> str:
    """The command, to be copied from a message."""
    return f"kubectl annotate --overwrite --namespace {key.namespace} kindcluster {key.name} {names.APPROVED_PLAN_ANNOTATION}={approval}"


def other_approval(outcome: Outcome, approval: str) -> str:
    """What an annotation that does not approve this plan is; empty without one."""
    said = str(part(outcome.scope.obj, "metadata", "annotations").get(names.APPROVED_PLAN_ANNOTATION) or "")
    if not said or not approval:
        return ""
    return f"The annotation {names.APPROVED_PLAN_ANNOTATION} says {shorten(said, MAX_APPROVED)!r}, which approves another plan. "


# --- what a cluster takes as it runs -------------------------------------------------------------------------------------------------


def _in_place(outcome: Outcome, now: Conditions) -> Iterator[Change]:
    spec = outcome.scope.spec
    wanted = {IMAGES: spec.images or (), ADDONS: [addon.name for addon in spec.addons or ()]}
    for field, kind in TOLD.items():
        if kind in now and not now[kind].true and (wanted[field] or field == ADDONS):  # an add-on is removed, an image is not
            yield Change(field, "", ", ".join(wanted[field]))
    yield from _workers(outcome)
    yield from _power(outcome)


def _workers(outcome: Outcome) -> Iterator[Change]:
    """From those that are there or, of more that are wanted, that are settled."""
    if outcome.drift is None or outcome.drift.aim is None:
        return
    settled, wanted = len(workers_of(outcome.nodes)), len(workers_of(outcome.drift.aim))
    if outcome.scaling is not None or settled != wanted:
        seen = outcome.observed.cluster
        there = sum(node.role is NodeRole.WORKER for node in seen.nodes) if seen is not None else settled
        yield Change(WORKERS, str(settled if wanted > settled else max(there, settled)), str(wanted))


def _power(outcome: Outcome) -> Iterator[Change]:
    """While nothing is seen, because something works on the cluster or the engine does not answer, what was said before holds."""
    scope, wanted, seen = outcome.scope, wanted_power(outcome.scope), outcome.observed.cluster
    if not outcome.record.is_complete(provisioned=scope.provisioned):
        return
    if seen is None or seen.presence is Presence.UNKNOWN:
        before = (scope.status.get("plan") or {}).get("changes") or ()
        yield from (
            Change(POWER, one.get("from", ""), wanted) for one in before if one["field"] == POWER and one.get("to") == wanted
        )
        return
    if wanted is Power.RUNNING:
        differing = [node.state for node in seen.nodes if node.state.stopped] if resumes(scope) else []
    else:
        differing = [node.state for node in seen.nodes if awake(node.state, wanted)]
    if differing and outcome.decision.reason not in AT_REST:
        yield Change(POWER, ", ".join(sorted(set(map(str, differing)))), wanted)


# --- words ---------------------------------------------------------------------------------------------------------------------------


def _messages(outcome: Outcome, now: Conditions, changes: tuple[Change, ...]) -> Iterator[str]:
    fields, up_to_date = {change.field for change in changes}, now.get(ConditionType.UP_TO_DATE)
    if outcome.drift is not None and outcome.drift.replacing:
        yield REPLACING
    elif outcome.drift is not None and outcome.drift.changes and up_to_date is not None:
        yield up_to_date.message
    if POWER in fields:
        yield f"The nodes are brought to {wanted_power(outcome.scope)} as they are: what they hold stays."
    if outcome.scaling is not None:
        yield from (now[kind].message for kind in SCALING if kind in now and now[kind].true)
    yield from (now[kind].message for field, kind in TOLD.items() if field in fields)


def _shown(change: Change, outcome: Outcome) -> JsonObject:
    """Of what a cluster was made from, long values are not kept."""
    values = outcome.desired.values if outcome.desired is not None else {}
    made = f"a long value, fingerprint {change.made[1:]}" if change.made.startswith("#") else change.made
    wanted = (
        as_text(values[change.field])
        if change.field in values and change.update_class is not UpdateClass.IN_PLACE
        else change.wanted
    )
    return {"field": change.field} | ({"from": made} if made else {}) | ({"to": wanted} if wanted else {})
