"""Every field of a spec, edited on a real API server after the cluster has been made: refused with the reason, or let in to be planned."""

from __future__ import annotations

import pytest

from tests.envtest.crd import KindClusters, kindcluster
from tests.envtest.edits import EDITS, ENDPOINT, IDENTITY, Edit, Leads

MADE = {"controlPlaneEndpoint": ENDPOINT, "identity": IDENTITY}


def complaints(server: KindClusters, edit: Edit, policy: str | None) -> list[str]:
    common = MADE | ({} if policy is None else {"updatePolicy": policy})
    return server.complaints_about_change(kindcluster(**{**common, **edit.before}), kindcluster(**{**common, **edit.after}))


@pytest.mark.parametrize("field", EDITS)
def test_an_edit_is_refused_with_its_reason_or_let_in(kindclusters: KindClusters, field: str) -> None:
    """Without an updatePolicy, what does not come in place is refused; with one, only what never can come; each by the field's name."""
    edit, name = EDITS[field], field.partition(".")[0].partition("[")[0]
    refused, reported = complaints(kindclusters, edit, None), complaints(kindclusters, edit, "Report")

    for found, accepted in ((refused, edit.always_accepted), (reported, edit.leads is not Leads.REFUSED)):
        assert bool(found) is not accepted, found
        assert all("cannot" in complaint for complaint in found), found
        assert not found or any(complaint.startswith(f"spec.{name}: ") for complaint in found) or name == "clusterName", found
