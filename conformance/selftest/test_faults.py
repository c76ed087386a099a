"""Every check of the kit fails for the fault that it is there for, and none fails without a fault."""

from __future__ import annotations

import re

import pytest

from selftest.faults import BEHAVIOUR, DEFINITIONS, Fault
from selftest.kit import RUN_SECONDS
from selftest.runs import GREEN, Runs

WAIT_SECONDS = RUN_SECONDS + 10.0

pytestmark = pytest.mark.timeout(RUN_SECONDS + 60.0)


@pytest.mark.parametrize("fault", [*DEFINITIONS, *BEHAVIOUR], ids=lambda fault: fault.name)
def test_a_fault_is_found_and_named(runs: Runs, fault: Fault) -> None:
    """The check for it fails, in the kit's own process, and says what is wrong."""
    report = runs.started[fault.name].result(WAIT_SECONDS)
    outcome = report.of(f"{fault.check}[{fault.name}" if fault in DEFINITIONS else fault.check)

    assert outcome.verdict in ("failed", "error"), report.output
    assert re.search(fault.says, outcome.said), outcome.said
    if fault.before:
        assert "passed" == report.of(fault.before).verdict


def test_a_provider_without_a_fault_passes_everything(runs: Runs) -> None:
    """With a control plane object of its own, a template for ClusterClasses and a second management cluster: nothing is skipped."""
    report = runs.started[GREEN].result(WAIT_SECONDS)

    assert {"passed"} == {outcome.verdict for outcome in report.outcomes.values()}, report.output


def test_every_check_of_the_kit_has_a_fault(runs: Runs) -> None:
    """A check that nothing can fail proves nothing."""
    checks = {name.partition("[")[0] for name in runs.started[GREEN].result(WAIT_SECONDS).outcomes}

    assert checks == {fault.check.partition("[")[0] for fault in (*BEHAVIOUR, *DEFINITIONS)}
