"""A kind config can be carried over into a spec: what kind accepts is accepted, and what is refused is refused with field and cure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from hack.tools import find
from provider.api import kindfile
from provider.api.markers import marked_fields
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.convert import convert
from provider.reconcile.kind_config import kind_config
from tests.envtest.crd import KindClusters, kindcluster
from tests.envtest.kind_configs import HEAD, Config, configs
from tests.envtest.spec_strategies import Spec, specs, spoilt

ENGINE = """#!/bin/sh
case "$1" in info) echo '{}' ;; network) echo "stop here" >&2; exit 1 ;; esac
"""
"""An engine that knows every image and has nothing, up to the moment when kind wants its network."""
PARSED = 'Creating cluster "'
"""Said after kind has accepted a config (kind pkg/cluster/internal/create/create.go)."""


KIND_FIELDS = {field.name for field in marked_fields(KINDClusterSpec) if field.kind_name == field.name}
RANDOM = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def as_config(spec: Spec) -> str:
    """The kind fields of a spec as a config of kind."""
    head = {"kind": kindfile.KIND, "apiVersion": kindfile.API_VERSION, "name": "random"}
    return yaml.safe_dump(head | {key: value for key, value in spec.items() if key in KIND_FIELDS})


GATES = ", ".join(
    f"{quote or 'P'}{word}: {mark}{word}{mark}"
    for word in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF")
    for quote, mark in (("Q", "'"), ("", ""))
)
OF_GO = (
    f"featureGates: {{{GATES}}}",
    "featureGates: {A: ~, B: TRUE}",
    "networking: {apiServerPort: 0x50}",
    "networking: {apiServerPort: 0620}",
    "networking: {apiServerPort: 1_000.0}",
    "networking: {apiServerPort: -0x1}",
    "nodes:\n- &f {role: control-plane}\n- {<<: *f, role: worker}",
    "nodes: [~]",
    "runtimeConfig: {a: 1.50, b: ~, c: 0x10, d: 2020-01-01, 1: e}",
    "nodes: [{role: '', extraMounts: [{hostPath: /a, containerPath: /b, propagation: ''}]}]",
    "kubeadmConfigPatches: [~]",
    "name: !!str 1",
    # refused:
    "featureGates: {A: 'true'}",
    "featureGates: {A: tRue}",
    "featureGates: {A: 1}",
    "networking: {apiServerPort: '80'}",
    "networking: ''",
    "nodes: {}",
    "runtimeConfig: {a: [x]}",
    "networking: {dnsSearch: x}",
    "name: a\nname: b",
    "Name: x",
)
"""Values as Go's YAML decoder reads them, some of them unlike Python's."""


class KindParser:
    """The real kind, stopped before it makes anything."""

    def __init__(self, folder: Path) -> None:
        (folder / "docker").write_text(ENGINE)
        (folder / "docker").chmod(0o755)
        self._kind, self._folder = find.path("kind"), folder

    def accepts(self, document: str) -> bool:
        argv = [self._kind, "create", "cluster", "--config", "-", "--kubeconfig", str(self._folder / "kubeconfig")]
        env = {"PATH": f"{self._folder}:{os.defpath}", "HOME": str(self._folder), "KIND_EXPERIMENTAL_PROVIDER": "docker"}
        done = subprocess.run(argv, input=document, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert PARSED not in done.stderr or "failed to ensure docker network" in done.stderr, done.stderr
        return PARSED in done.stderr


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> KindParser:
    if reason := find.missing("kind"):
        pytest.skip(f"kind's own verdict needs kind: {reason}")
    return KindParser(tmp_path_factory.mktemp("kind"))


def complaints(server: KindClusters, config: Config) -> list[str]:
    return server.complaints(kindcluster("carried-over", **config.spec))


@pytest.mark.parametrize("config", configs("accepted"), ids=lambda config: config.name)
def test_a_config_of_kind_is_accepted_as_a_spec(kindclusters: KindClusters, config: Config) -> None:
    """The fields are kind's own: nothing has to be rewritten."""
    assert complaints(kindclusters, config) == []


@pytest.mark.parametrize("config", configs("accepted"), ids=lambda config: config.name)
def test_kind_accepts_it_and_what_is_made_of_it(kind: KindParser, config: Config) -> None:
    """The verdict is kind's, and the document that the provider writes from the spec is one that kind takes, too."""
    rendered = kind_config(KINDClusterSpec.model_validate(config.spec), "carried-over")

    assert kind.accepts(config.document)
    assert kind.accepts(yaml.safe_dump(rendered))
    assert len(yaml.safe_load(config.document).get("nodes") or [{}]) == len(rendered["nodes"])


@pytest.mark.parametrize("config", configs("refused", "stricter"), ids=lambda config: config.name)
def test_a_config_that_cannot_work_is_refused_with_field_and_cure(kindclusters: KindClusters, config: Config) -> None:
    """At once, where kind, the engine or kubeadm would say it later or not at all."""
    found = complaints(kindclusters, config)

    assert any(all(words in complaint for words in config.says) for complaint in found), found


@pytest.mark.parametrize("config", configs("refused", "stricter"), ids=lambda config: config.name)
def test_kind_refuses_what_we_do_but_for_what_is_listed(kind: KindParser, config: Config) -> None:
    """The list of where we are stricter is complete, and no longer than it has to be."""
    assert kind.accepts(config.document) is (config.verdict == "stricter")


@RANDOM
@given(spec=specs())
def test_kind_accepts_what_is_made_of_random_specs(kind: KindParser, spec: Spec) -> None:
    """Whatever the API server takes, kind takes what is rendered from it, and what a person would have written in its place."""
    assert kind.accepts(as_config(spec))
    assert kind.accepts(yaml.safe_dump(kind_config(KINDClusterSpec.model_validate(spec), "random")))


@RANDOM
@given(spec=spoilt())
def test_what_kind_refuses_of_random_configs_is_not_converted(kind: KindParser, spec: Spec) -> None:
    """Whatever is wrong with a file: people hear of it before they apply anything."""
    document = as_config(spec)

    assert convert(document, folder=Path("/srv")).refusals or kind.accepts(document)


@pytest.mark.parametrize("text", OF_GO)
def test_values_are_read_as_kind_reads_them(kind: KindParser, text: str) -> None:
    """The command that converts a config says of it what kind says."""
    document = f"{HEAD}{text}\n"

    assert kind.accepts(document) is (not convert(document, folder=Path("/srv")).refusals)
