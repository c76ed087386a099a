"""A cluster that nothing happens to is not written to: no heartbeats, no two controllers that correct each other."""

from __future__ import annotations

import time

import pytest

from capi_conformance.subject import Subject
from capi_conformance.waiting import POLL_SECONDS

POLLS = 10.0


def versions(subject: Subject) -> dict[str, str]:
    """Any write of an object changes its resource version, so that equal ones at two moments prove that there was none between."""
    return {key: one["metadata"]["resourceVersion"] for key, one in subject.objects().items()}


@pytest.mark.rule("IC-8", "CP-12")
def test_nothing_is_written_while_nothing_changes(subject: Subject) -> None:
    """All objects of the Cluster keep their resource versions for two minutes; the last writes before that are soon done."""
    seconds, began = subject.profile.seconds, time.monotonic()
    before, since = versions(subject), began
    while time.monotonic() - since < seconds.stable:
        time.sleep(POLL_SECONDS * POLLS)
        now = versions(subject)
        if changed := sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key)):
            elapsed = time.monotonic() - began
            assert elapsed < seconds.settled, f"{elapsed:.0f} s after it was Available, still written: {', '.join(changed)}"
            before, since = now, time.monotonic()
