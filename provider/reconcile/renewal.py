"""Client certificates of clusters, renewed long before they expire. Effects: one call of the runtime, one Event.

kubeadm makes them for a year, and nothing renews them in a kind cluster: after it, neither users nor Cluster API could reach a cluster
that runs (control-plane contract "Cluster kubeconfig management": rotated; docs/adr/0095).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey, timestamp
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import ProviderError
from provider.ports.kube import EventNote, Recorder
from provider.ports.runtime import Identity, Runtime
from provider.ports.workload import WorkloadObservation
from provider.reconcile.scope import Scope

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(days=90)
"""A certificate that expires sooner is renewed: a manager may be away for weeks and still be in time."""
TRY_AGAIN = timedelta(hours=1)
"""After a try, successful or not: a node that cannot renew, or claims it and does not, must not be asked in every pass."""


class Renewal:
    """One per manager. When it was last tried is a hint that saves work: a new manager tries at once."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tried: dict[ObjectKey, datetime] = {}

    def forget(self, key: ObjectKey) -> None:
        self._tried.pop(key, None)

    async def renew(self, scope: Scope, runtime: Runtime, identity: Identity, seen: WorkloadObservation | None) -> bool:
        """Whether the certificate is a new one now, and what is known of it outdated. A failure hides nothing else of the pass."""
        expires = seen.credentials_expire_at if seen is not None else None
        if expires is None or not self._due(scope, expires):
            return False
        self._tried[scope.key] = scope.now
        try:
            await runtime.renew_kubeconfig(identity)
        except ProviderError as error:
            log.warning(
                "Cannot renew the kubeconfig",
                extra={KINDCLUSTERS.kind: scope.key, "reason": error.reason, "error": error.message},
            )
            message = f"The kubeconfig expires at {timestamp(expires)} and cannot be renewed: {error.message}"
            await self._recorder.record(scope.obj, EventNote(Reason.KUBECONFIG_NOT_RENEWED, message))
            return False
        message = f"The kubeconfig would have expired at {timestamp(expires)}: its client certificate was renewed."
        await self._recorder.record(scope.obj, EventNote(Reason.KUBECONFIG_RENEWED, message))
        return True

    def _due(self, scope: Scope, expires: datetime) -> bool:
        tried = self._tried.get(scope.key)
        # The absolute value, because a clock that was set back must not put the next try off for as long.
        rests = tried is not None and abs(scope.now - tried) < TRY_AGAIN
        return not rests and expires - scope.now < RENEW_BEFORE
