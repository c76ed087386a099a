"""provider.api.fit: whatever a status says, the API server takes what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.api.fit import fit
from provider.api.v1alpha1.kindcontrolplane import KINDControlPlaneStatus
from provider.api.v1alpha1.status import KINDClusterStatus
from tests.fakes.arbitrary import json_values, near
from tests.fakes.crd import SCHEMAS, refused

Status = KINDClusterStatus | KINDControlPlaneStatus

MODELS = (KINDClusterStatus, KINDControlPlaneStatus)
NEARLY = {model: near(SCHEMAS[model]) for model in MODELS}
ANYTHING = json_values()


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_is_left_of_any_status_is_accepted(model: type[Status], data: st.DataObject) -> None:
    """Arbitrary JSON, and what looks like a status but has no limits: a write of it is never refused."""
    value = data.draw(st.one_of(ANYTHING, NEARLY[model]))

    assert list(refused(SCHEMAS[model], fit(model, value))) == []


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_fitting_twice_changes_nothing(model: type[Status], data: st.DataObject) -> None:
    """Else every pass would find another status than the one it wrote, and write again."""
    once = fit(model, data.draw(NEARLY[model]))

    assert fit(model, once) == once


@pytest.mark.parametrize(
    ("status", "left"),
    [
        pytest.param({"failureMessage": "x" * 40000}, {"failureMessage": "x" * 32767 + "…"}, id="a long text is cut"),
        pytest.param({"version": "v" * 100}, {"version": "v" * 63 + "…"}, id="a text is cut, and shows it"),
        pytest.param({"lastCreate": {"attempts": -1}}, {"lastCreate": {"attempts": 0}}, id="a number goes to the nearest limit"),
        pytest.param({"observedGeneration": 2**70}, {"observedGeneration": 2**63 - 1}, id="integers have 64 bits"),
        pytest.param({"phase": "Dreaming"}, {}, id="a word that is none of the words is left out"),
        pytest.param({"ready": "yes"}, {}, id="another type is left out"),
        pytest.param({"version": None}, {}, id="null is absence"),
        pytest.param({"history": [{"time": "soon"}]}, {"history": []}, id="an entry that lacks what it must have is left out"),
        pytest.param({"cluster\ud800Name": 1, "runtime": "\ud800"}, {"cluster\ud800Name": 1, "runtime": "?"}, id="surrogates"),
        pytest.param({"ofTomorrow": [1]}, {"ofTomorrow": [1]}, id="fields of a later version stay"),
        pytest.param([], {}, id="no object at all"),
    ],
)
def test_what_does_not_fit_is_cut_or_left_out(status: Any, left: dict[str, Any]) -> None:
    """Shown by what each kind of limit does."""
    assert fit(KINDClusterStatus, status) == left


def test_logs_keep_their_newest_entries() -> None:
    """The last steps tell what is going on; of nodes, the first ones are as good as any."""
    steps = [{"name": f"step {number}", "state": "Started"} for number in range(40)]
    nodes = [{"name": f"node-{number}", "role": "worker", "state": "Running"} for number in range(70)]

    left = fit(KINDClusterStatus, {"lastCreate": {"steps": steps}, "nodes": nodes})

    assert left["lastCreate"]["steps"] == steps[-32:]
    assert left["nodes"] == nodes[:64]
