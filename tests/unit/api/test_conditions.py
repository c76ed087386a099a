"""Reasons: each one is documented, has one severity, and is its text wherever text is expected."""

from __future__ import annotations

import json
import re

import pytest

from hack import reference
from provider.api.conditions import ConditionType, Reason
from provider.api.faults import Fault, Severity
from provider.api.phases import Phase

REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
"""The pattern of metav1.Condition.reason, which the CRDs demand."""


@pytest.mark.fault(48, "every condition, reason and phase", invariants="I15")
@pytest.mark.parametrize("enum", [ConditionType, Phase, Fault, Reason])
def test_every_member_has_a_docstring(enum: type[Reason]) -> None:
    """The reference page is made from them; a member without one stops it."""
    assert list(enum) == [member for member, text in reference.members(enum) if text]


def test_every_reason_may_stand_in_a_condition() -> None:
    """An API server refuses a status with any other text."""
    assert [] == [reason for reason in Reason if not REASON.fullmatch(reason)]


def test_a_reason_is_a_warning_exactly_when_somebody_has_to_do_something() -> None:
    """Severity follows from the fault: there is no second list that could disagree."""
    for reason in Reason:
        assert (reason.severity is Severity.WARNING) == (reason.fault is not Fault.NONE), reason


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        (Reason.READY, Fault.NONE),
        (Reason.NAME_LOCKED, Fault.NONE),
        (Reason.IMAGE_NOT_FOUND, Fault.SPEC),
        (Reason.ENGINE_MISSING, Fault.HOST),
        (Reason.SECRET_CONFLICT, Fault.MANAGEMENT),
    ],
)
def test_a_fault_says_where_something_has_to_change(reason: Reason, fault: Fault) -> None:
    """One example of each."""
    assert fault is reason.fault


def test_a_reason_is_its_text() -> None:
    """It is compared with, and stored as, plain JSON strings."""
    assert '"EngineMissing"' == json.dumps(Reason.ENGINE_MISSING)
    assert {"EngineMissing"} == {Reason.ENGINE_MISSING}
    assert Reason.ENGINE_MISSING is Reason("EngineMissing")


def test_the_text_of_another_version_reads_as_unknown() -> None:
    """A stored status survives an upgrade and a downgrade of the provider."""
    assert Reason.UNKNOWN is Reason("InventedLater")
