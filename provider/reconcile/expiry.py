"""spec.ttl and spec.expiresAt: when an object's time is over, whether that is to be carried out, and what is said of it. Pure.

A time counts only once it stands in status.expiresAt, where everybody can see it: an edit that puts it into the past is announced first.
Carrying it out is provider.reconcile.expire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from provider.api import names, patterns
from provider.api.conditions import ConditionType, Reason
from provider.api.duration import parse_duration
from provider.api.meta import Condition, Conditions, ConditionStatus, part, shorten, timestamp
from provider.backoff import UNKNOWN_RETRY
from provider.reconcile.plan import AT_REST
from provider.reconcile.scope import Scope

WARNING = timedelta(minutes=10)
"""Before the end: from then on the condition Expiring says it, and an Event has."""
NOTICE = timedelta(minutes=1)
"""At least, from the moment when status.expiresAt is first seen to be near: a slip of the pen can be corrected."""
SHOWN = 64
"""Characters of a value that cannot be read."""

OWNED = (
    "Only an object without an owner Cluster expires: a Cluster that loses this one is broken. Delete the Cluster when its time is over, "
    "and remove spec.ttl and spec.expiresAt here. Without Cluster API, set spec.standalone: true."
)


@dataclass(frozen=True, slots=True)
class Expiry:
    """What somebody's wish for an end comes to."""

    at: datetime | None = None
    """When the object's time is over, UTC; None: `refused`."""
    refused: str = ""
    """Why it never is; empty: it is."""
    held: str = ""
    """Why it would stay, if its time were over now; empty: it would not."""

    def over(self, now: datetime) -> bool:
        return self.at is not None and now >= self.at

    def due(self, now: datetime) -> bool:
        return self.over(now) and not self.held

    @property
    def told(self) -> str | None:
        """As in status.expiresAt."""
        return None if self.at is None else timestamp(self.at)


def expiry_of(scope: Scope, now: Conditions) -> Expiry | None:
    """None: nobody asks for an end. `now`: the conditions that count, those of the status or those that are about to be written."""
    if scope.invalid is not None:
        asked = part(scope.obj, "spec").keys() & {"ttl", "expiresAt"}
        return Expiry(refused="The spec cannot be read: until it can, the object does not expire.") if asked else None
    if scope.spec.ttl is None and scope.spec.expires_at is None:
        return None
    if not scope.owner.standalone:
        return Expiry(refused=OWNED)
    try:
        wanted = _wanted(scope)
    except ValueError as error:
        return Expiry(refused=str(error))
    return Expiry(_with_notice(scope, wanted), held=_held(scope, now))


def expiring(scope: Scope, now: Conditions) -> dict[ConditionType, Condition]:
    """The condition; nothing where there was never anything to say, and while the object is being deleted."""
    kind, found = ConditionType.EXPIRING, expiry_of(scope, now)
    if scope.deleting or (found is None and kind not in scope.conditions):
        return {}
    if found is not None and found.refused:
        return {kind: Condition(kind, ConditionStatus.FALSE, Reason.EXPIRY_REFUSED, found.refused)}
    if found is None or found.at is None or scope.now < found.at - WARNING:
        return {kind: Condition(kind, ConditionStatus.FALSE, Reason.NOT_EXPIRING)}
    if found.over(scope.now) and found.held:
        message = f"Its time was over at {found.told}, and {found.held}."
        return {kind: Condition(kind, ConditionStatus.FALSE, Reason.EXPIRY_HELD, message)}
    if found.held:
        message = f"Its time is over at {found.told}; as it is now, it stays then: {found.held}."
        return {kind: Condition(kind, ConditionStatus.FALSE, Reason.EXPIRY_HELD, message)}
    message = (
        f"Deleted at {found.told}, and its cluster with it. To put that off, set the annotation {names.EXTEND_ANNOTATION} to a later "
        "time, or edit spec.ttl and spec.expiresAt."
    )
    return {kind: Condition(kind, ConditionStatus.TRUE, Reason.EXPIRES_SOON, message)}


def next_look(scope: Scope, now: Conditions) -> timedelta | None:
    """Until there is something to say or to do; None: no time of its own."""
    found = expiry_of(scope, now)
    if scope.deleting or found is None or found.at is None:
        return None
    if found.over(scope.now):
        # Held: a change of Ready or of the spec brings the next pass. Due, and still there: the API server's clock is behind.
        return None if found.held else UNKNOWN_RETRY
    warning = found.at - WARNING
    return (warning if scope.now < warning else found.at) - scope.now


def _wanted(scope: Scope) -> datetime:
    """Raises ValueError, with the field, for a time that cannot be read."""
    spec, ends = scope.spec, []
    if spec.ttl is not None:
        created = _time("metadata.creationTimestamp", scope.metadata.get("creationTimestamp"))
        try:
            ends.append(created + parse_duration(spec.ttl))
        except (ValueError, OverflowError) as error:
            raise _unreadable("spec.ttl", spec.ttl, 'a duration such as "8h"') from error
    if spec.expires_at is not None:
        ends.append(_time("spec.expiresAt", spec.expires_at))
    end = min(ends)
    extended = (scope.metadata.get("annotations") or {}).get(names.EXTEND_ANNOTATION)
    return end if extended is None else max(end, _time(f"The annotation {names.EXTEND_ANNOTATION}", extended))


def _time(what: str, text: object) -> datetime:
    if isinstance(text, str) and re.fullmatch(patterns.TIME, text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:  # a day that the month does not have
            pass
    raise _unreadable(what, text, 'a time with its zone, such as "2030-01-31T18:00:00Z"')


def _unreadable(what: str, value: object, must: str) -> ValueError:
    return ValueError(f'{what} is "{shorten(str(value), SHOWN)}" and must be {must}: until then the object does not expire.')


def _with_notice(scope: Scope, wanted: datetime) -> datetime:
    """Nothing that somebody may be using goes without having been announced. What nothing was made for can go as it came."""
    soonest = scope.now + NOTICE
    if wanted > soonest or not scope.begun:
        return wanted
    announced = _announced(scope)
    return max(wanted, announced) if announced is not None and announced <= soonest else soonest.replace(microsecond=0)


def _announced(scope: Scope) -> datetime | None:
    """What was said before the pause does not count: nobody was asked to look at a paused object. Nor does what was said of a cluster that
    was held then, and is no longer."""
    paused, expiring = scope.conditions.get(ConditionType.PAUSED), scope.conditions.get(ConditionType.EXPIRING)
    if paused is not None and paused.true:
        return None
    was_held = expiring is not None and expiring.reason is Reason.EXPIRY_HELD
    if was_held and scope.provisioned and not _held(scope, scope.conditions):
        return None
    try:
        return _time("status.expiresAt", scope.status.get("expiresAt"))
    except ValueError:
        return None


def _held(scope: Scope, now: Conditions) -> str:
    if scope.spec.deletion_policy == "Retain":
        return "spec.deletionPolicy: Retain keeps its cluster: remove that, or spec.ttl and spec.expiresAt"
    ready, engine = now.get(ConditionType.READY), now.get(ConditionType.ENGINE_REACHABLE)
    seen = engine is None or engine.true  # what Ready says of a cluster that cannot be looked at is what it was
    usable = seen and ready is not None and (ready.true or ready.reason in AT_REST)
    if scope.spec.expiry_policy == "KeepUnready" and not usable:
        return "spec.expiryPolicy: KeepUnready keeps it while it is not Ready: delete it, or set Delete, when it has been looked into"
    return ""
