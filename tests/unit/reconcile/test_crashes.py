"""A manager killed before, after and inside every single effect of a life. The end is that of the undisturbed run.

The points are enumerated, not sampled: a learning run counts them, then every one of them gets its own run (tests/fakes/mortal.py).
The oracle is differential: same objects, same nodes, same number of creates and deletes, but for one cluster that is made again when
the manager died while it was made.
"""

from __future__ import annotations

import pytest

from provider.api import names
from tests.conftest import Figure
from tests.fakes.mortal import Effects, Life

pytestmark = pytest.mark.unmeasured

PARTS = {
    "create": ["create"],
    "repair": ["create", "repair"],
    "stop": ["create", "stop"],
    "pause": ["create", "pause"],
    "resume": ["create", "stop", "resume"],
    "unpause": ["create", "pause", "resume"],
    "scale_up": ["create", "scale_up"],
    "scale_down": ["create", "scale_up", "scale_down"],
    "scale_and_back": ["create", "scale_and_back"],
    "update": ["create", "update"],
    "approve": ["create", "approve"],
    "delete": ["create", "delete"],
    "connect": ["create", "connect"],
    "disconnect": ["create", "connect", "disconnect"],
    "leave": ["create", "connect", "leave"],
    "keep": ["create", "keep"],
    "move": ["create", "move"],
    "expire": ["create_alone", "expire"],
    "addons": ["create", "addons"],
    "change_addons": ["create", "addons", "change_addons"],
    "drop_addons": ["create", "addons", "drop_addons"],
}
"""Part of a life → what happens up to its end. The last step is the one whose effects are looked at."""
ADDONS = ("addons", "change_addons", "drop_addons")
MAKES_AGAIN = {"create": 1, "update": 1, "approve": 1}
"""How many times more than undisturbed a cluster may be made: the remains of an interrupted create cannot be finished."""


async def lived(steps: list[str], effects: Effects) -> tuple[Life, Effects]:
    """A whole run, and what had been counted when its last step began."""
    life = Life(effects)
    before = Effects()
    for step in steps:
        before.points, before.effects, before.answers = effects.points, effects.effects, effects.answers
        await getattr(life, step)()
    return life, before


def difference(part: str, life: Life, undisturbed: Life) -> list[str]:
    """What is not as it is in the undisturbed run; what must never be."""
    made, removed = (life.runtime.calls[verb] - undisturbed.runtime.calls[verb] for verb in ("create", "delete"))
    found = list(life.violations)
    if (now := life.end_state()) != (wanted := undisturbed.end_state()):
        found.append(f"the end is {now}, not {wanted}")
    if not (0 <= made <= MAKES_AGAIN.get(part, 0)):
        found.append(f"made {made} times more often")
    if part not in ("create", "update", "approve", "delete", "leave", "expire") and removed:
        found.append(f"removed {removed} times more often")
    return found


@pytest.mark.fault(1, "the manager dies before, after and inside each effect (fakes)", invariants="I1 I2 I3 I4 I5 I13")
async def test_a_kill_at_any_effect_of_making_ends_as_the_undisturbed_run(figure: Figure) -> None:
    """One ready cluster, finalizer first, nothing of others touched: whatever the moment."""
    await check_kills("create", figure)


@pytest.mark.fault(2, "the manager dies before, after and inside each effect (fakes)", invariants="I1 I2 I3 I6 I13")
@pytest.mark.parametrize("part", [part for part in PARTS if part != "create"])
async def test_a_kill_at_any_effect_of_living_ends_as_the_undisturbed_run(part: str, figure: Figure) -> None:
    """Same end state, no leak, nothing of others touched, finalizer last: whatever the moment."""
    await check_kills(part, figure)


async def check_kills(part: str, figure: Figure) -> None:
    """Each point of a part of a life in a run of its own, compared with the run without a kill."""
    undisturbed, before = await lived(PARTS[part], Effects())
    points = range(before.points + 1, undisturbed.effects.points + 1)
    assert len(points) >= 4, "the learning run saw no effects"

    failed = {}
    for at in points:
        life, _ = await lived(PARTS[part], Effects(at))
        if found := difference(part, life, undisturbed):
            failed[at] = found

    figure(f"effects of {part}", undisturbed.effects.effects - before.effects)
    figure("kills on fakes", len(points))
    figure("recovered", len(points) - len(failed))
    assert {} == failed
    assert [] == undisturbed.violations


async def test_the_undisturbed_run_keeps_what_it_is_told_to_keep() -> None:
    """The object is gone; the cluster and a Secret that garbage collection cannot reach are not."""
    life, _ = await lived(PARTS["keep"], Effects())
    secret = life.home.secret()

    assert life.home.get() is None
    assert secret is not None
    assert "ownerReferences" not in secret["metadata"]
    assert life.runtime.marked() == ["demo-control-plane", "demo-worker"]


async def test_the_undisturbed_run_applies_and_prunes() -> None:
    """What the kills are compared with is what add-ons are for."""
    life, _ = await lived(PARTS["change_addons"], Effects())
    store = life.home.workload.store("demo")
    found = store.find("ConfigMap", "c")

    assert ["a", "c", "d", "kindcluster-addon-one", "kindcluster-addon-three"] == store.names("ConfigMap")
    assert found is not None
    assert "three" == found["metadata"]["labels"][names.ADDON_LABEL]


@pytest.mark.fault(13, "each write is done and answered by a broken connection (fakes)", invariants="I1 I4 I13")
@pytest.mark.parametrize("part", PARTS)
async def test_a_lost_answer_to_any_write_ends_as_the_undisturbed_run(part: str, figure: Figure) -> None:
    """The write was done, the manager hears of a broken connection: it reads again, nothing is made twice."""
    undisturbed, before = await lived(PARTS[part], Effects(lost=True))
    answers = range(before.answers + 1, undisturbed.effects.answers + 1)
    assert answers, "the learning run saw no writes"

    failed = {}
    for at in answers:
        life, _ = await lived(PARTS[part], Effects(at, lost=True))
        if found := difference("", life, undisturbed):
            failed[at] = found

    figure("answers lost", len(answers))
    assert {} == failed


@pytest.mark.fault(29, "deleted after a kill at each effect of making (fakes)", invariants="I2 I6")
async def test_a_kill_at_any_effect_of_making_followed_by_a_delete_leaves_nothing(
    figure: Figure,
) -> None:
    """The user gives up right after the crash: the delete is the next thing that the new manager sees."""
    undisturbed, _ = await lived(["create"], Effects())
    points = range(1, undisturbed.effects.points + 1)

    failed = []
    for at in points:
        life = Life(Effects(at))
        life.after_kill = life.home.delete
        await life.create()
        if life.home.get() is not None or life.runtime.marked() or life.violations:
            failed.append((at, life.violations, life.end_state()))

    figure("kills on fakes", len(points))
    assert [] == failed
