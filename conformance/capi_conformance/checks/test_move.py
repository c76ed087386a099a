"""`clusterctl move` to another management cluster and back: the workload cluster does not notice."""

from __future__ import annotations

import pytest

from capi_conformance.management import SECRET, Json, Management
from capi_conformance.subject import Subject
from capi_conformance.waiting import wait


def move(source: Subject, target: Subject) -> None:
    """Once every owner exists: clusterctl leaves behind what is owned by a Secret that is gone, as a topology's objects are for a while."""
    wait(source.profile.seconds.healed, lambda: _lost_owners(source))
    source.management.clusterctl(
        "move", f"--namespace={source.namespace}", f"--to-kubeconfig={target.management.kubeconfig}", timeout=300
    )


def _lost_owners(source: Subject) -> str:
    for kind in source.profile.kinds:
        for owner in source.object_of(kind)["metadata"].get("ownerReferences") or ():
            if owner["kind"] == "Secret" and not source.management.get(SECRET, source.namespace, owner["name"]):
                return f"{kind} is owned by the Secret {owner['name']}, which is gone"
    return ""


def check_arrival(source: Subject, target: Subject, identity: Json) -> None:
    """Same workload cluster, Available at the target with its status rebuilt; nothing at the source."""
    assert "" == source.gone_problem(), "the source keeps it"
    try:
        target.wait_available()
    except AssertionError as error:
        raise AssertionError(f"not Available after the move: {error}") from error
    assert identity == target.identity(), "the workload cluster is another one after the move"

    def secret_problem() -> str:
        left = source.management.get(SECRET, source.namespace, f"{source.name}-kubeconfig")
        return "the source keeps the kubeconfig Secret" if left else ""

    wait(source.profile.seconds.deleted, secret_problem)


@pytest.mark.rule("CTL-10", "IC-13", "CP-21")
def test_a_move_there_and_back_touches_nothing(target: Management, subject: Subject) -> None:
    """Objects arrive without status and with new UIDs; the provider finds the cluster by what it has written into spec or metadata."""
    away, identity = subject.at(target), subject.identity()

    move(subject, away)
    check_arrival(subject, away, identity)

    move(away, subject)
    check_arrival(away, subject, identity)
