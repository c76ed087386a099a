"""kind's lines become steps."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from provider.adapters.kind.progress import StepLines
from provider.ports.runtime import Step, StepState

LINES = """Creating cluster "demo" ...
 • Ensuring node image (kindest/node:v1.34.4) 🖼  ...
 ✓ Ensuring node image (kindest/node:v1.34.4) 🖼
 • Preparing nodes 📦 📦   ...
 ✓ Preparing nodes 📦 📦
 • Starting control-plane 🕹️  ...
 ✗ Starting control-plane 🕹️
ERROR: failed to create cluster: x
"""


def read(lines: str) -> tuple[list[Step], StepLines]:
    told: list[Step] = []
    clock = itertools.count()
    reader = StepLines(told.append, lambda: float(next(clock)))
    for line in lines.splitlines():
        reader.feed(line)
    return told, reader


def test_steps_are_told_without_decoration() -> None:
    """Once when they start, once when they end, with the seconds they took; other lines are nothing."""
    told, reader = read(LINES)

    names = ["Ensuring node image (kindest/node:v1.34.4)", "Preparing nodes", "Starting control-plane"]
    assert names == [step.name for step in told if step.state is StepState.STARTED]
    assert [StepState.SUCCEEDED, StepState.SUCCEEDED, StepState.FAILED] == [step.state for step in told if step.seconds]
    assert "Starting control-plane" == reader.failed_step()


def test_the_last_step_depends_on_the_nodes() -> None:
    """Workers join last; without them other control planes do; else the storage class is it."""
    _, one = read(" ✓ Installing StorageClass 💾")
    _, many = read(" ✓ Installing StorageClass 💾\n ✓ Joining more control-plane nodes 🎮")
    _, workers = read(" ✓ Installing StorageClass 💾\n • Joining worker nodes 🚜  ...\n ✓ Joining worker nodes 🚜")

    assert one.all_done(["control-plane"])
    assert not one.all_done(["control-plane", "worker"])
    assert not one.all_done(["control-plane"] * 3)
    assert many.all_done(["control-plane"] * 3)
    assert workers.all_done(["control-plane", "worker"])


@given(st.text())
def test_no_line_upsets_the_reader(line: str) -> None:
    """Output of other versions, other languages or a hostile image is at worst no progress."""
    read(line)
