"""How long to wait before something is tried again. Every schedule and every fixed wait of the project is named here. Pure.

A schedule is exponential, bounded and, where many callers may fail together, jittered, so that they do not come back together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between tries: `first`, doubled with each further failure up to `limit`, varied by the share `jitter` both ways."""

    first: float
    limit: float
    jitter: float = 0.0

    def delay(self, failures: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after so many earlier failures in a row (0: the first one)."""
        # The exponent is bounded before it is used: 2.0 ** 1100 is an OverflowError, and a key may fail for months.
        return jittered(min(self.first * 2.0 ** min(failures, 32), self.limit), self.jitter, chance)

    def __iter__(self) -> Iterator[float]:
        """The delays of one series of failures, without end."""
        failures = 0
        while True:
            yield self.delay(failures)
            failures += 1


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds between looks at what nothing tells of: a tenth of the time that it has been so already, from `first` up to `limit`.

    What takes a while is seen soon after it happened, and what never happens is hardly looked at.
    """

    first: float
    limit: float

    def delay(self, elapsed: timedelta) -> timedelta:
        """A clock that was put back has `elapsed` negative."""
        return timedelta(seconds=min(max(self.first, elapsed.total_seconds() / 10), self.limit))


def jittered(seconds: float, jitter: float, chance: Callable[[], float] = random.random) -> float:
    """`chance` gives numbers from 0 to 1."""
    return seconds * (1 - jitter + 2 * jitter * chance()) if jitter else seconds


JITTER = 0.25

RECONCILE = Backoff(0.2, 300.0, JITTER)
"""Between passes of one key that fail (client-go's item rate limiter is exponential as well, from 5 ms)."""
API_REQUEST = Backoff(0.2, 5.0, JITTER)
"""Between kopf's tries of one request to the management cluster."""
WATCH_RESTART = Backoff(1.0, 30.0)
"""Between restarts of the watch."""
FIRST_LIST = Backoff(0.5, 15.0)
"""Between tries to list what exists when the manager starts."""
RUNTIME_EVENTS = Backoff(1.0, 30.0)
"""Between tries to read a runtime's events."""
ENGINE_EVENTS = Backoff(0.5, 15.0, 0.3)
"""Between connections to a container engine's events."""
CONTAINER_REMOVAL = Backoff(0.2, 1.6)
"""Between tries to remove containers that somebody else is removing at the same time."""
CREATE = Backoff(10.0, 600.0)
"""Between tries to create one cluster, for as long as its host is what fails."""

CONFLICT = Backoff(0.05, 30.0, JITTER)
"""Before the next pass after a lost race: the view was stale, a fresh one is a moment away. Races lost in a row are no races."""
UNKNOWN_RETRY = timedelta(seconds=15)
"""Before the next look at what nobody could tell: an engine that does not answer, a runtime that is not there, a host that is not fit."""
FOREIGN_RETRY = timedelta(seconds=30)
"""Before the next look at a cluster name that somebody else has."""
COOLDOWN = timedelta(seconds=10)
"""After a start or a removal that did not help: a container that does not stay up must not be started in a tight loop."""
PREPARE_COOLDOWN = timedelta(minutes=1)
"""After a failed preparation of a replacement: it asks a registry each time."""
SCALE_COOLDOWN = timedelta(seconds=30)
"""After a scaling that failed: a worker that cannot be drained is held by what runs in the cluster, and nothing tells when that goes."""
PRELOAD_RETRY = timedelta(minutes=1)
"""Before the next look at images that are to be loaded into nodes: what failed, what was not to be had, what may have been built anew."""
REGISTRY_RETRY = timedelta(minutes=1)
"""Before the next look at registries that nodes are to know: nothing tells when the shared one, or a file in a node, goes."""
ADDON_BELIEVED = timedelta(minutes=1)
"""For which add-ons that were seen ready count as ready, without a look into the cluster."""
ADDON_AGAIN = timedelta(seconds=2)
"""Between two tasks for the add-ons of one cluster."""
ADDON_REFUSED_RETRY = timedelta(minutes=10)
"""Before what a cluster's API server has refused is tried again with the same text: an admission policy may have changed."""
ABANDONED_RETRY = timedelta(minutes=1)
"""Before the next try to remove what a create made for an object that is gone."""
SECRET_RETRY = timedelta(minutes=1)
"""Before the next try to publish a Secret whose name somebody else has."""
KUBECONFIG_RETRY = timedelta(seconds=2)
"""Before the next try to read the kubeconfig of a control plane that is coming up."""
SETTLING = Patience(0.3, 300.0)
"""Between passes over a cluster that runs and is not Ready yet: its nodes become Ready within seconds, and nothing else tells."""
DEGRADED = Patience(5.0, 300.0)
"""Between passes over a cluster that was Ready and is not."""
