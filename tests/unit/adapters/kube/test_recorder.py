"""provider.adapters.kube.recorder: Events are counted, limited and never in the way."""

from __future__ import annotations

import asyncio
from typing import Any

from provider.adapters.kube.recorder import BURST, MAX_MESSAGE, REFILL_SECONDS, EventRecorder
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.names import EVENTS
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Terminal, Transient
from provider.ports.kube import EventNote
from tests.fakes.clock import LoopClock, in_virtual_time
from tests.fakes.kube import FakeKube

READY = EventNote(Reason.READY, "The cluster is ready.")


def make(kube: FakeKube, name: str = "demo") -> JsonObject:
    meta = {"name": name, "namespace": "team"}
    return kube.put(KINDCLUSTERS, {"apiVersion": KINDCLUSTERS.api_version, "kind": "KINDCluster", "metadata": meta})


def events(kube: FakeKube) -> list[JsonObject]:
    return kube.find(EVENTS, namespace="team")


@in_virtual_time
async def test_an_event_names_its_object_and_says_what_happened() -> None:
    """What kubectl describe shows, and what field selectors find."""
    kube = FakeKube()
    obj = make(kube)
    await EventRecorder(kube, LoopClock(), "me").record(obj, READY)

    (event,) = events(kube)
    assert {name: event[name] for name in ("type", "reason", "message", "count")} == {
        "type": "Normal",
        "reason": "Ready",
        "message": "The cluster is ready.",
        "count": 1,
    }
    assert event["involvedObject"]["uid"] == obj["metadata"]["uid"]
    assert event["involvedObject"]["kind"] == "KINDCluster"


@in_virtual_time
async def test_repeats_are_counted_on_the_same_event() -> None:
    """A flapping cluster makes one line with a number, not a page; the right to read Events is not needed."""
    kube = FakeKube()
    obj, recorder = make(kube), EventRecorder(kube, LoopClock(), "me")
    for _ in range(3):
        await recorder.record(obj, READY)
        await asyncio.sleep(10)

    (event,) = events(kube)
    assert event["count"] == 3
    assert event["lastTimestamp"] > event["firstTimestamp"]
    assert {call.verb for call in kube.calls} == {"create", "patch"}


@in_virtual_time
async def test_an_event_the_server_has_forgotten_is_written_anew() -> None:
    """Events live for an hour; counting begins again."""
    kube = FakeKube()
    obj, recorder = make(kube), EventRecorder(kube, LoopClock(), "me")
    await recorder.record(obj, READY)
    (event,) = events(kube)
    kube.remove(EVENTS, ObjectKey("team", event["metadata"]["name"]))
    await recorder.record(obj, READY)

    (event,) = events(kube)
    assert event["count"] == 1


@in_virtual_time
async def test_the_type_of_an_event_is_the_severity_of_its_reason() -> None:
    """kubectl get events --field-selector type=Warning shows what needs somebody, and no more."""
    kube = FakeKube()
    await EventRecorder(kube, LoopClock(), "me").record(make(kube), EventNote(Reason.ENGINE_MISSING, "docker is not installed."))

    assert ["Warning"] == [event["type"] for event in events(kube)]


@in_virtual_time
async def test_another_run_writes_its_own_event() -> None:
    """It cannot know what the one before counted."""
    kube = FakeKube()
    obj = make(kube)
    for _ in range(2):
        await EventRecorder(kube, LoopClock(), "me").record(obj, READY)

    assert [event["count"] for event in events(kube)] == [1, 1]


@in_virtual_time
async def test_different_words_or_objects_are_different_events() -> None:
    """Only what is the same is counted together."""
    kube = FakeKube()
    recorder = EventRecorder(kube, LoopClock(), "me")
    await recorder.record(make(kube), READY)
    await recorder.record(make(kube, "other"), READY)
    await recorder.record(make(kube, "third"), EventNote(Reason.CREATE_FAILED, "No image."))

    assert len(events(kube)) == 3


@in_virtual_time
async def test_one_object_cannot_flood_and_does_not_silence_others() -> None:
    """A bucket per object, refilled slowly."""
    kube = FakeKube()
    recorder = EventRecorder(kube, LoopClock(), "me")
    loud = make(kube)
    for number in range(BURST * 2):
        await recorder.record(loud, EventNote(Reason.READY, f"number {number}"))
    assert len(events(kube)) == BURST

    await recorder.record(make(kube, "other"), READY)
    assert len(events(kube)) == BURST + 1

    await asyncio.sleep(REFILL_SECONDS)
    await recorder.record(loud, READY)
    assert len(events(kube)) == BURST + 2


@in_virtual_time
async def test_nothing_is_ever_raised() -> None:
    """No permission, no server, no namespace: the reconcile goes on."""
    kube = FakeKube()
    obj = make(kube)
    recorder = EventRecorder(kube, LoopClock(), "me")
    for error in (Terminal(Reason.FORBIDDEN, "no"), Transient(Reason.API_ERROR, "down")):
        kube.fail("create", error)
        await recorder.record(obj, READY)

    async def hang(call: Any) -> None:
        await asyncio.sleep(3600)

    kube.before(hang)
    await recorder.record(obj, READY)

    assert asyncio.get_running_loop().time() < 10


@in_virtual_time
async def test_long_messages_are_cut_to_what_the_server_takes() -> None:
    """An Event that is refused helps nobody."""
    kube = FakeKube()
    await EventRecorder(kube, LoopClock(), "me").record(make(kube), EventNote(Reason.CREATE_FAILED, "x" * 5000))

    assert len(events(kube)[0]["message"]) == MAX_MESSAGE
