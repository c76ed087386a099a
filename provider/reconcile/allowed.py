"""What a cluster asks of its host: whether its images can be had, and whether the policy allows it. Asked in the pass that decides to make
it, before anything is made. Effects: reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from provider.api.conditions import Reason
from provider.backoff import UNKNOWN_RETRY
from provider.errors import ProviderError
from provider.policy import decide
from provider.ports.runtime import Runtime
from provider.reconcile.choose_images import with_images
from provider.reconcile.desired import Desired
from provider.reconcile.node_images import Choice
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Action, Blocked, Decision, Facts, plan, without_replacement
from provider.reconcile.registries import wanted
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
    unknown: Blocked | None = None
    if (making or refused) and (paths := decide.paths_of_interest(policy, namespace, config)):
        links, unknown = await _links(runtime, paths)
        refused = decide.refusals(policy, namespace, config, asked_for, links)
    refused += decide.registry_refusals(policy, namespace, wanted(scope))
    if not refused:
        return (without_replacement(facts, unknown) if unknown is not None and making else decision), None
    # Nothing tells of a ConfigMap, or of a file system: what was read there is read again.
    from_a_map = scope.spec.config_from is not None and scope.spec.config_from.config_map_key_ref is not None
    again = UNKNOWN_RETRY if from_a_map or unknown is not None else None
    blocked = Blocked(Reason.POLICY_REFUSED, " ".join(refused), again)
    if decision.action in (Action.SCALE, Action.CANCEL) and facts.scaling is not None and facts.scaling.join:
        # What is refused now may run on, and go; no more of it is made, and nothing is ended to make room for that. Not a half of it
        # either: when a task for these workers has ended well, all of them count as settled (made_from).
        decision = plan(replace(facts, scaling=None))
    return (without_replacement(facts, blocked) if making else decision), blocked


async def _links(runtime: Runtime, paths: Sequence[str]) -> tuple[Mapping[str, str], Blocked | None]:
    """Where they lead; or why it cannot be told now, although it could be: then nothing is made of them."""
    try:
        return await runtime.real_paths(paths), None
    except ProviderError as error:
        return {}, Blocked(error.reason, error.message, UNKNOWN_RETRY)
