"""The kind runtime fetching node images ahead of a create: against a fake engine that has them, gets them or does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provider.adapters.kind.runtime import KindRuntime
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Step, StepState
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]


async def test_what_is_there_is_not_pulled(runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor) -> None:
    """An image that was built or loaded locally has no registry."""
    fake.edit(images=["kindest/node:v1.34.4"])

    await runtime.prepare(request_for(), lambda _: None)

    assert fake.calls("docker pull") == []


async def test_each_missing_image_is_pulled_once(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor, steps: list[Step]
) -> None:
    """With progress. A node's own image counts; an image that nobody names is kind's business."""
    request = request_for(workers=2)
    nodes = [*request.config["nodes"], {"role": "worker", "image": "other/node:v2"}]

    await runtime.prepare(request_for(config={**request.config, "nodes": nodes}), steps.append)
    await runtime.prepare(request_for(image=None), steps.append)

    assert [call[-1] for call in fake.calls("docker pull")] == ["kindest/node:v1.34.4", "other/node:v2"]
    assert [step.name for step in steps if step.state is StepState.SUCCEEDED] == [
        "Pulling kindest/node:v1.34.4",
        "Pulling other/node:v2",
    ]


@pytest.mark.fault(25, "the image is missing or refused (stub)", invariants="I1")
@pytest.mark.parametrize(
    ("stderr", "kind", "reason"),
    [
        ("manifest for kindest/node:v1.34.4 not found: manifest unknown", Terminal, "ImageNotFound"),
        ("dial tcp: lookup registry.example: no such host", Transient, "ImagePullFailed"),
    ],
)
async def test_an_image_that_cannot_be_had_is_named(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor, stderr: str, kind: type[ProviderError], reason: str
) -> None:
    """Terminal only where the registry says that it does not exist."""
    fake.fault("docker pull", code=1, stderr=stderr + "\n")

    with pytest.raises(kind) as raised:
        await runtime.prepare(request_for(), lambda _: None)

    assert (raised.value.reason, "kindest/node:v1.34.4" in raised.value.message) == (reason, True)


@pytest.mark.fault(25, "the engine is silent when asked for the image (stub)", invariants="I7")
async def test_an_engine_that_does_not_answer_is_no_missing_image(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor
) -> None:
    """Nothing is pulled then."""
    fake.fault("docker image", code=1, stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")

    with pytest.raises(Transient, match="does not answer"):
        await runtime.prepare(request_for(), lambda _: None)
    assert fake.calls("docker pull") == []
