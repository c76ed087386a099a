"""provider.settings: one source for flags, variables, defaults and their documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from provider.api.duration import parse_duration
from provider.ports.runtime import Endpoint
from provider.settings import ENV_PREFIX, Settings, SettingsError, flag_of, flags, load, parse_address

BARE = {"HOME": "/nobody"}


def test_defaults_follow_the_machine_and_its_user() -> None:
    """State and tools live where the XDG rules say; half the CPUs create clusters."""
    settings = load([], BARE)

    assert settings.state_dir == Path("/nobody/.local/state/cluster-api-provider-kind")
    assert settings.tools_dir == Path("/nobody/.cache/cluster-api-provider-kind/tools")
    assert settings.create_slots == max(1, (os.cpu_count() or 1) // 2)
    assert load([], BARE | {"XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/c"}).state_dir == Path("/s/cluster-api-provider-kind")


def test_a_flag_wins_over_its_variable_and_the_variable_over_the_default() -> None:
    """The nearer to the command, the stronger."""
    variable = BARE | {"CAPKIND_CONCURRENCY": "3"}

    assert load([], BARE).concurrency == 8
    assert load([], variable).concurrency == 3
    assert load(["--concurrency=5"], variable).concurrency == 5


@pytest.mark.parametrize(
    ("former", "name", "value"), [("--workers", "concurrency", 3), ("--resync", "sync_period", timedelta(minutes=3))]
)
def test_a_former_name_is_still_accepted_and_the_new_one_wins(former: str, name: str, value: object) -> None:
    """A deployment that was written for an older version goes on working."""
    text, other = ("3", "4") if name == "concurrency" else ("3m", "4m")
    old, new = ENV_PREFIX + former.strip("-").upper(), ENV_PREFIX + name.upper()

    assert value == getattr(load([f"{former}={text}"], BARE), name)
    assert value == getattr(load([], BARE | {old: text}), name)
    assert value == getattr(load([], BARE | {new: text, old: other}), name)
    assert f"Deprecated: {former}" in flags()[name][0].text


def test_kubeconfig_comes_from_the_usual_variable() -> None:
    """KUBECONFIG is everybody's; ours is for us alone and wins."""
    assert load([], BARE | {"KUBECONFIG": "/a"}).kubeconfig == "/a"
    assert load([], BARE | {"KUBECONFIG": "/a", "CAPKIND_KUBECONFIG": "/b"}).kubeconfig == "/b"


def test_in_a_pod_clusters_are_reached_by_name_unless_told_otherwise() -> None:
    """A pod cannot reach the loopback address of the engine's host; one with the host's network can, and says so."""
    pod = BARE | {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}

    assert not load([], BARE).inside_network
    assert load([], pod).inside_network
    assert not load(["--inside-network=false"], pod).inside_network


@pytest.mark.fault(48, "every setting", invariants="I15")
@pytest.mark.parametrize("name", list(flags()))
def test_every_setting_has_a_flag_a_variable_and_a_text(name: str) -> None:
    """Documented by construction."""
    flag, _ = flags()[name]

    assert len(flag.help) > 10
    assert flag.help.endswith(".")
    assert flag_of(name).startswith("--")
    assert (ENV_PREFIX + name.upper()).isupper()


@pytest.mark.parametrize(
    ("arguments", "attribute", "value"),
    [
        (["--leader-elect"], "leader_elect", True),
        (["--leader-elect=false"], "leader_elect", False),
        (["--leader-elect", "false"], "leader_elect", False),
        (["--sync-period=90s"], "sync_period", timedelta(seconds=90)),
        (["--create-timeout=1h30m"], "create_timeout", timedelta(minutes=90)),
        (["--health-addr=0"], "health_addr", None),
        (["--health-addr="], "health_addr", None),
        (["--health-addr=:9440"], "health_addr", Endpoint("0.0.0.0", 9440)),
        (["--health-addr=[::1]:0"], "health_addr", Endpoint("::1", 0)),
        (["--namespace=team"], "namespace", "team"),
        (["--namespace="], "namespace", None),
        (["--runtime=local"], "runtime", "local"),
        (["--metrics-bind-addr=:8080"], "diagnostics_address", Endpoint("0.0.0.0", 8080)),
        (["--max-concurrent-reconciles=3"], "concurrency", 3),
        (["--kindcluster-concurrency=4"], "concurrency", 4),
        (["--v=5"], "log_level", "debug"),
        (["-v=2"], "log_level", "info"),
        (["--v=5", "--log-level=error"], "log_level", "error"),
        (["--logging-format=json"], "log_format", "json"),
    ],
)
def test_values_are_read_as_people_write_them(arguments: list[str], attribute: str, value: object) -> None:
    """Go's durations, Kubernetes' addresses, booleans with and without a value."""
    assert getattr(load(arguments, BARE), attribute) == value


@pytest.mark.parametrize(
    ("arguments", "named", "cure"),
    [
        (["--concurrency=0"], "--concurrency", "1 or more"),
        (["--concurrency=many"], "--concurrency", "whole number"),
        (["--sync-period=5"], "--sync-period", "5m"),
        (["--sync-period=-5s"], "--sync-period", "5m"),
        (["--health-addr=localhost"], "--health-addr", "HOST:PORT"),
        (["--health-addr=localhost:99999"], "--health-addr", "HOST:PORT"),
        (["--runtime=docker"], "--runtime", "auto, kind, local"),
        (["--leader-elect=perhaps"], "--leader-elect", "true or false"),
        (["--v=loud"], "--v", "whole number"),
        (["--logging-format=xml"], "--logging-format", "text or json"),
    ],
)
def test_a_bad_value_is_named_with_its_cure(arguments: list[str], named: str, cure: str) -> None:
    """Nobody should have to read the source to find the right notation."""
    with pytest.raises(SettingsError) as caught:
        load(arguments, BARE)

    assert named in str(caught.value)
    assert cure in str(caught.value)


OPERATOR = {
    "--kindcluster-concurrency": "10",
    "--max-concurrent-reconciles": "10",
    "--namespace": "team",
    "--health-addr": ":9440",
    "--leader-elect": "true",
    "--leader-election-id": "system/lease",
    "--leader-elect-lease-duration": "15s",
    "--leader-elect-renew-deadline": "10s",
    "--leader-elect-retry-period": "2s",
    "--metrics-bind-addr": ":8080",
    "--webhook-host": "0.0.0.0",
    "--webhook-port": "9443",
    "--webhook-cert-dir": "/tmp/certs",
    "--sync-period": "600s",
    "--profiler-address": "localhost:6060",
    "--v": "5",
    "--feature-gates": "A=true,B=false",
}
"""What Cluster API Operator makes of a provider's spec.manager (its component_customizer.go), every field set."""


def test_flags_of_cluster_api_operator_are_accepted_and_those_without_effect_are_told() -> None:
    """Each does what it says, or is in the list that the log names at the start."""
    settings = load([f"{flag}={value}" for flag, value in OPERATOR.items()], BARE)

    assert set(settings.without_effect) < set(OPERATOR)
    own = {flag_of(name) for name in flags()} | {flag_of(other) for flag, _ in flags().values() for other in flag.also}
    assert set(OPERATOR) == set(settings.without_effect) | {"--v"} | (own & set(OPERATOR))
    assert () == load([], BARE).without_effect


def test_a_bad_variable_is_named_as_a_variable() -> None:
    """Not as a flag that nobody gave."""
    with pytest.raises(SettingsError, match="CAPKIND_CONCURRENCY"):
        load([], BARE | {"CAPKIND_CONCURRENCY": "x"})


def test_the_environment_is_carried_and_never_shown() -> None:
    """It may hold anything; a repr of the settings ends in logs."""
    settings = load([], BARE | {"SECRET": "canary"})

    assert settings.environment["SECRET"] == "canary"
    assert "canary" not in repr(settings)
    assert "environment" not in flags()


def test_a_pod_is_told_by_the_variable_that_every_pod_has() -> None:
    """What a pod sees of files and ports says nothing about the engine's machine."""
    assert not load([], BARE).in_pod
    assert load([], BARE | {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}).in_pod


def test_settings_are_frozen() -> None:
    """Nobody changes them under way."""
    with pytest.raises(AttributeError):
        Settings().concurrency = 3  # type: ignore[misc]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1m30s", 90)])
def test_durations(text: str, seconds: float) -> None:
    """Units add up."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "5m!", " 5m", "1.5h", "-1s"])
def test_no_durations(text: str) -> None:
    """Anything left over is an error, not ignored."""
    with pytest.raises(ValueError):
        parse_duration(text)


def test_addresses_are_shown_as_they_are_written() -> None:
    """IPv6 gets its brackets back."""
    assert str(parse_address("[::1]:80")) == "[::1]:80"
    assert str(parse_address("127.0.0.1:80")) == "127.0.0.1:80"


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    """No kopf, no Kubernetes client, no aiohttp: a person is waiting."""
    code = "import sys; sys.argv[1:] = ['--help']\ntry:\n import provider.__main__ as m; m.main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'kopf', 'kubernetes', 'aiohttp', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    after = os.times()

    assert "--create-slots" in done.stdout
    assert done.stderr.strip() == "[]"
    assert after.children_user + after.children_system - before.children_user - before.children_system < 2.0


def test_a_bad_flag_ends_with_two() -> None:
    """And says where help is."""
    done = subprocess.run(
        [sys.executable, "-m", "provider", "--concurrency=x"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 2
    assert "--concurrency" in done.stderr
    assert "Traceback" not in done.stderr
