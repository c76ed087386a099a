"""What a cluster asks of its host: whether its images can be had, and whether the policy allows it. Asked in the pass that decides to make
it, before anything is made. Effects: reads only.
"""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.policy import decide
from provider.ports.runtime import Runtime
from provider.reconcile.choose_images import with_images
from provider.reconcile.desired import Desired
from provider.reconcile.node_images import Choice
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Action, Blocked, Decision, Facts, without_replacement
from provider.reconcile.scope import Scope


async def with_host(
    decision: Decision, facts: Facts, scope: Scope, desired: Desired, runtime: Runtime, options: ReconcileOptions
) -> tuple[Decision, Choice | None, Blocked | None]:
    """The decision, unless the host cannot or may not give what it needs; the choice of images, and the policy's refusal."""
    decision, choice = await with_images(decision, facts, runtime, desired)
    decision, refused = await _with_policy(decision, facts, scope, desired, choice, runtime, options)
    return decision, choice, refused


async def _with_policy(
    decision: Decision,
    facts: Facts,
    scope: Scope,
    desired: Desired,
    choice: Choice | None,
    runtime: Runtime,
    options: ReconcileOptions,
) -> tuple[Decision, Blocked | None]:
    """The decision, unless the policy refuses what it would make; and the refusal, which is told of a running cluster as well.

    Where symbolic links lead is asked only before something is made or called refused: that costs looks at the host, and what was made
    keeps its mounts.
    """
    policy, namespace, config = options.policy, scope.key.namespace, desired.request.config
    making = decision.action in (Action.CREATE, Action.PREPARE)
    request = desired.request
    image = request.image if choice is None else choice.image
    named = request.image or request.version or desired.repository
    asked_for = image if named and image != options.default_image else None
    refused = decide.refusals(policy, namespace, config, asked_for, {})
    if (making or refused) and (paths := decide.paths_of_interest(policy, namespace, config)):
        refused = decide.refusals(policy, namespace, config, asked_for, await runtime.real_paths(paths))
    if not refused:
        return decision, None
    blocked = Blocked(Reason.POLICY_REFUSED, " ".join(refused))
    return (without_replacement(facts, blocked) if making else decision), blocked
