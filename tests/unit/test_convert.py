"""`python -m provider convert`: kind's config files become KINDClusters, or are refused with field and cure."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from provider.api import kindfile
from provider.api.markers import marked_fields
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.convert import Converted, convert, main
from provider.reconcile.kind_config import kind_config
from tests.envtest.kind_configs import HEAD, Config, configs
from tests.envtest.spec_strategies import Spec, specs

FOLDER = Path("/srv/project")
KIND_FIELDS = {field.name for field in marked_fields(KINDClusterSpec) if field.kind_name == field.name}
FIRST_WORDS_OF_PATHS = ("spec.", 'unknown field "spec.')
CURED = {
    "a folder beside the config": "/srv/project/data",
    "a folder of a variable": "/srv/project/${PWD}/data",
    "an API switched on by a boolean": "'true'",
    "an API switched on by a number": "'1'",
    "a label that is a boolean": "'true'",
}
"""What the API server refuses as it stands, and the command writes as kind reads it."""


def converted(text: str, **given: str) -> Converted:
    return convert(HEAD + text, folder=FOLDER, **given)


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    out, err = io.StringIO(), io.StringIO()
    code = main(arguments, io.StringIO(stdin), out, err)
    return code, out.getvalue(), err.getvalue()


def field_of(config: Config) -> str:
    """The field that a refusal names, in kind's document."""
    words = config.says[0]
    for start in FIRST_WORDS_OF_PATHS:
        words = words.removeprefix(start)
    name = words.strip('"').removesuffix("[0].kind") + ("[0]" if words.endswith('[0].kind"') else "")
    return {"clusterName": "name"}.get(name, name)


@pytest.mark.parametrize("config", configs("accepted"), ids=lambda config: config.name)
def test_what_people_write_is_carried_over(config: Config) -> None:
    """Every field under its own name, with its value."""
    found = convert(config.document, folder=FOLDER)
    (obj,) = found.objects

    assert () == tuple(found.refusals)
    expected = {key: value for key, value in config.spec.items() if key != "clusterName" and value is not None}
    assert expected == obj["spec"]
    assert config.spec.get("clusterName", kindfile.DEFAULT_NAME) == obj["metadata"]["name"]


@pytest.mark.parametrize("config", configs("refused"), ids=lambda config: config.name)
def test_what_kind_refuses_is_refused_with_its_field(config: Config) -> None:
    """The refusal names the line, the field and what must be."""
    refusals = convert(config.document, folder=FOLDER).refusals

    assert any(f": {field_of(config)}: " in refusal for refusal in refusals), refusals


@pytest.mark.parametrize("config", configs("stricter"), ids=lambda config: config.name)
def test_what_the_api_server_refuses_is_refused_or_written_in_its_way(config: Config) -> None:
    """Nothing is printed that cannot be applied."""
    found = convert(config.document, folder=FOLDER)

    if config.name in CURED:
        assert () == tuple(found.refusals)
        assert CURED[config.name] in yaml.safe_dump(list(found.objects))
    else:
        assert any(f": {field_of(config)}: " in refusal for refusal in found.refusals), found.refusals


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("nodes: 3\n", '3: nodes: must be a list: each entry begins with "- "'),
        ("networking: []\n", "3: networking: must be a mapping: fields with their values"),
        ("featureGates:\n  A: 1\n", "4: featureGates.A: must be true or false, without quotes"),
        ("networking:\n  apiServerPort: '1'\n", "4: networking.apiServerPort: must be a whole number, without quotes"),
        ("networking:\n  apiServerPort: 70000\n", "4: networking.apiServerPort: must be at most 65535"),
        ("networking:\n  ipFamily: ipv5\n", "4: networking.ipFamily: must be 'ipv4', 'ipv6' or 'dual'"),
        ("kubeadmConfigPatchesJSON6902:\n- kind: X\n", "4: kubeadmConfigPatchesJSON6902[0].patch: is required"),
        ("name: a\nname: b\n", "4: name: stands here twice: remove one of the two"),
        ("nodes: [{image: 'a b'}]\n", "3: nodes[0].image: "),
        ("nodes:\n" + "- {}\n" * 41, "nodes: has 41 entries, and at most 40 are allowed"),
        ("? [a]\n: b\n", "4: unknown field; kind knows"),
        ("nodes:\n- &a {<<: *a}\n", "this is not YAML"),
        ("nodes: [\n", "this is not YAML"),
        ("[" * 2000, "this is not YAML"),
        (f"name: {'a' * 50}\n", "3: name: "),
    ],
)
def test_a_broken_config_is_refused_with_line_field_and_cure(text: str, refusal: str) -> None:
    """Also what is not YAML, and what would never end."""
    assert any(refusal in found for found in converted(text).refusals), converted(text).refusals


@pytest.mark.parametrize(
    ("head", "refusal"),
    [
        ("kind: Cluster\n", '1: apiVersion: is ""'),
        ("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha3\n", "reads kind.x-k8s.io/v1alpha4"),
        ("kind: Pod\napiVersion: kind.x-k8s.io/v1alpha4\n", '1: kind: is "Pod": write Cluster'),
        ("", "1: there is no config"),
        ("just text", "must be a mapping"),
    ],
)
def test_what_is_no_config_of_kind_is_refused(head: str, refusal: str) -> None:
    """The two lines that all configs begin with are told."""
    found = convert(head, folder=FOLDER).refusals

    assert any(refusal in one for one in found), found


def test_values_that_go_reads_in_another_way_than_python_are_taken_as_go_does() -> None:
    """Octal and hexadecimal numbers, words of YAML 1.1, merged mappings, absent texts."""
    text = (
        "nodes:\n"
        "- &first\n"
        "  role: ''\n"
        "  extraPortMappings: [{containerPort: 0x50, hostPort: 0o620}, {containerPort: 1_000.0, hostPort: -0x1}]\n"
        "- {<<: *first, role: worker, extraPortMappings: [], labels: {on: off, n: 1.50, z: ~}}\n"
        "networking: {disableDefaultCNI: yes, dnsSearch: []}\n"
        "featureGates: {A: 'on', B: False}\n"
    )
    (obj,) = converted(text).objects

    assert {
        "nodes": [
            {"extraPortMappings": [{"containerPort": 80, "hostPort": 400}, {"containerPort": 1000, "hostPort": -1}]},
            {"extraPortMappings": [], "role": "worker", "labels": {"on": "off", "n": "1.50", "z": ""}},
        ],
        "networking": {"disableDefaultCNI": True, "dnsSearch": []},
        "featureGates": {"A": True, "B": False},
    } == obj["spec"]


def test_aliases_that_stand_for_too_much_end_the_reading() -> None:
    """A line of text may ask for a million values."""
    labels = "{" + ", ".join(f"k{number}: v" for number in range(2000)) + "}"
    text = f"nodes:\n- &a {{labels: {labels}}}\n" + "- *a\n" * 100

    assert any("aliases stand for too much" in refusal for refusal in converted(text).refusals)


@pytest.mark.parametrize(
    "text",
    [
        "nodes: [&n {extraMounts: [&m {}" + ", *m" * 1000 + "]}" + ", *n" * 1000 + "]\n",
        "featureGates: &e {}\nruntimeConfig: {<<: &l [*e" + ", *e" * 1500 + "]" + ", <<: *l" * 1500 + "}\n",
        f"kubeadmConfigPatches: [&p '{'a' * 60_000}'" + ", *p" * 40 + "]\n",
    ],
    ids=["empty entries", "empty merges", "long text"],
)
def test_aliases_that_hold_nothing_or_much_are_counted_too(text: str) -> None:
    """Of each, a few kilobytes stood for millions of entries, or for megabytes of text."""
    (document,) = kindfile.read(HEAD + text)

    assert "aliases stand for too much" in str(document.complaints[-1])
    assert len(document.lines) < 2 * kindfile.MOST_VALUES


def test_what_aliases_stand_for_is_counted_over_all_documents() -> None:
    """Another "---" is three characters."""
    one = HEAD + "nodes: [&n {extraMounts: [&m {}" + ", *m" * 200 + "]}" + ", *n" * 200 + "]\n"

    complaints = [bool(document.complaints) for document in kindfile.read("---\n".join([one] * 4))]

    assert [False, False, True, True] == complaints


@pytest.mark.parametrize("text", [f'{HEAD}name: "\\UFFFFFFFF"\n', f"%YAML {'9' * 5000}.1\n---\n{HEAD}"])
def test_a_number_that_python_cannot_hold_is_no_yaml(text: str) -> None:
    """Of a character or of a version: told, never raised."""
    (found,) = kindfile.read(text)

    assert "this is not YAML" in str(found.complaints[0])


def test_several_documents_become_several_objects(tmp_path: Path) -> None:
    """From files and standard input alike, in their order; empty documents are none."""
    (tmp_path / "two.yaml").write_text(f"---\n{HEAD}name: a\n---\n---\n{HEAD}name: b\n")
    code, out, _ = run(str(tmp_path / "two.yaml"), "-", "--namespace", "team", stdin=f"{HEAD}name: c\n")

    assert 0 == code
    objects = list(yaml.safe_load_all(out))
    assert ["a", "b", "c"] == [obj["metadata"]["name"] for obj in objects]
    assert {"team"} == {obj["metadata"]["namespace"] for obj in objects}


def test_nothing_is_printed_when_one_of_several_is_refused() -> None:
    """Half of what somebody meant to apply is worse than nothing; all refusals are told at once, with their lines."""
    code, out, err = run(
        "-", stdin=f"{HEAD}---\n{HEAD}nodes: [{{role: worker}}]\n---\n{HEAD}networking: {{ipFamily: dual}}\ntypo: 1\n"
    )

    assert (2, "") == (code, out)
    assert "<stdin>:6: nodes: nodes has no control plane" in err
    assert "<stdin>:11: typo: unknown field; kind knows" in err


def test_two_configs_of_one_name_are_refused() -> None:
    """The second would be an edit of the first."""
    code, _, err = run("-", stdin=f"{HEAD}---\n{HEAD}")

    assert 2 == code
    assert "two configs have the name kind" in err


def test_a_name_on_the_command_line_wins() -> None:
    """As kind's own --name does; it is what is checked then."""
    assert "demo" == converted("name: other\n", name="demo").objects[0]["metadata"]["name"]
    assert any("name: clusterName" in refusal for refusal in converted("", name="De.mo").refusals)


def test_what_is_lost_or_changed_is_said_on_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments cannot be carried over, text that looks like one is; a relative path begins where the command is started."""
    monkeypatch.chdir(tmp_path)
    text = (
        f"# ours\n{HEAD}nodes:\n- extraMounts: # data\n  - hostPath: ./data # here\n    containerPath: /a#b\n"
        "  kubeadmConfigPatches:\n  - |\n    # kept\n    kind: X\n"
    )
    code, out, err = run("-", stdin=text)

    assert 0 == code
    assert "comments are not carried over: line 1, 5, 6\n" in err
    assert f"nodes[0].extraMounts[0].hostPath: made absolute, as kind does: {tmp_path}/data\n" in err
    (node,) = yaml.safe_load(out)["spec"]["nodes"]
    assert ["# kept\nkind: X\n"] == node["kubeadmConfigPatches"]
    assert "    - |\n      # kept\n" in out


def test_text_with_unusual_line_breaks_is_printed_as_it_was() -> None:
    """What is printed is read again as the same text."""
    patch = "a: \x85b\nc: \u2028d\n"
    _, out, _ = run("-", stdin=HEAD + yaml.safe_dump({"kubeadmConfigPatches": [patch]}))

    assert [patch] == yaml.safe_load(out)["spec"]["kubeadmConfigPatches"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Exit code 1: the config may be good."""
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")

    assert (1, f"{tmp_path}/no: cannot be read: No such file or directory\n") == run(f"{tmp_path}/no")[::2]
    assert (1, f"{tmp_path}/latin.yaml: cannot be read: it is not UTF-8\n") == run(f"{tmp_path}/latin.yaml")[::2]


def test_the_command_needs_nothing_but_a_config() -> None:
    """Neither settings nor a cluster; what it prints can be piped into kubectl."""
    argv = [sys.executable, "-m", "provider", "convert", "-"]
    done = subprocess.run(argv, input=HEAD, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=30, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert {"name": "kind"} == yaml.safe_load(done.stdout)["metadata"]


# --- the round trip ------------------------------------------------------------------------------------------------------------------


def defaulted(document: dict[str, Any]) -> dict[str, Any]:
    """As kind has it after defaulting (kind pkg/internal/apis/config/default.go) and decoding; the image is the binary's own."""
    found = {key: value for key, value in copy.deepcopy(document).items() if value not in ([], {})}
    found.setdefault("name", kindfile.DEFAULT_NAME)
    found["nodes"] = [_node(node) for node in found.get("nodes") or [{}]]
    _patches(found)
    networking = found.setdefault("networking", {})
    family = networking.setdefault("ipFamily", "ipv4")
    four, six = family != "ipv6", family != "ipv4"
    networking.setdefault("apiServerAddress", "127.0.0.1" if four else "::1")
    networking.setdefault("podSubnet", ",".join(["10.244.0.0/16"] * four + ["fd00:10:244::/56"] * six))
    networking.setdefault("serviceSubnet", ",".join(["10.96.0.0/16"] * four + ["fd00:10:96::/112"] * six))
    networking.setdefault("kubeProxyMode", "iptables")
    networking.setdefault("apiServerPort", 0)
    networking.setdefault("disableDefaultCNI", False)
    return found


def _node(node: dict[str, Any]) -> dict[str, Any]:
    found = {"role": "control-plane"} | {key: value for key, value in node.items() if value not in ([], {})}
    _patches(found)
    for mapping in found.get("extraPortMappings", []):
        mapping["protocol"] = (mapping.get("protocol") or "TCP").upper()
        mapping.setdefault("hostPort", 0)
        mapping["listenAddress"] = mapping.get("listenAddress", "")
    return found


def _patches(holder: dict[str, Any]) -> None:
    for patch in holder.get("kubeadmConfigPatchesJSON6902", []):
        patch |= {"group": patch.get("group", ""), "version": patch.get("version", "")}


def as_config(spec: Spec) -> dict[str, Any]:
    """The kind config that says the same as the kind fields of a spec."""
    name = {"name": spec["clusterName"]} if "clusterName" in spec else {}
    fields = {key: value for key, value in spec.items() if key in KIND_FIELDS}
    return {"kind": kindfile.KIND, "apiVersion": kindfile.API_VERSION} | name | fields


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(spec=specs())
def test_what_kind_is_asked_for_is_what_the_file_said(spec: Spec) -> None:
    """File → KINDCluster → the document that kind gets: the same cluster, for every valid config."""
    config = as_config(spec)
    code, out, err = run("-", stdin=yaml.safe_dump(config))
    assert (0, "") == (code, err)
    printed = yaml.safe_load(out)

    rendered = kind_config(KINDClusterSpec.model_validate(printed["spec"]), printed["metadata"]["name"])

    assert defaulted(config) == defaulted(rendered)
