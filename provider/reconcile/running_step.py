"""Where a long operation is, in a person's words. Pure."""

from __future__ import annotations

from provider.ports.runtime import Step, StepState


def running_step(steps: tuple[Step, ...]) -> str:
    """For people: "Starting control-plane (step 4)", "Pulling IMAGE: 3 of 7 layers (step 1)"; empty when none runs."""
    running = [(number, step) for number, step in enumerate(steps, 1) if step.state is StepState.STARTED]
    if not running:
        return ""
    number, step = running[-1]
    return f"{step.name}{f': {step.detail}' if step.detail else ''} (step {number})"
