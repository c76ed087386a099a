"""What one pass has read, found and decided: the only input of its status. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provider.api.kind import NodeNames
from provider.ports.runtime import Verb, Workers
from provider.ports.tasks import TaskStatus
from provider.reconcile.addons import Addons
from provider.reconcile.attempts import Record
from provider.reconcile.desired import Desired
from provider.reconcile.drift import Drift
from provider.reconcile.kubeconfig_secrets import Published
from provider.reconcile.node_images import Choice
from provider.reconcile.observe import Observed
from provider.reconcile.plan import Blocked, Decision
from provider.reconcile.preload import Preloading
from provider.reconcile.registries import Connecting
from provider.reconcile.scope import Scope


@dataclass(frozen=True, slots=True)
class Outcome:
    """A phase that the pass did not get to has left its default."""

    scope: Scope
    record: Record
    decision: Decision
    task: TaskStatus | None = None
    desired: Desired | None = None
    drift: Drift | None = None
    observed: Observed = field(default_factory=Observed)
    published: Published = field(default_factory=Published)
    choice: Choice | None = None
    """Of the images of a cluster that this pass wanted to make, or to prepare."""
    refused: Blocked | None = None
    """Why the policy refuses what is asked for."""
    preloading: Preloading | None = None
    connecting: Connecting | None = None
    scaling: Workers | None = None
    """Workers that are to join or to leave; None: all are as wanted, or nobody can tell."""

    addons: Addons | None = None
    ended: Mapping[Verb, TaskStatus] = field(default_factory=dict)
    """How the last try of a verb ended, whatever task has come since."""

    def last(self, verb: Verb) -> TaskStatus | None:
        """The newest try, be it under way."""
        return self.task if self.task is not None and self.task.verb is verb else self.ended.get(verb)

    @property
    def working(self) -> TaskStatus | None:
        """The task that works on the cluster itself. Preparing a replacement leaves it alone."""
        return self.task if self.task is not None and self.task.changes_cluster else None

    @property
    def nodes(self) -> NodeNames:
        """Names and roles of the containers that the cluster must have; empty where the pass ended before it knew."""
        return self.drift.nodes if self.drift is not None else ()
