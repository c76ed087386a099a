"""The policy file: what it may say, and how mistakes in it are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from provider.policy.file import DEFAULT, PolicyError, Rule, parse

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file: Input should be"),
        ("rules: [", "this is not YAML"),
        ("[" * 3000, "this is not YAML"),
        ("rules: 2024-13-45", "this is not YAML"),
        ("rules: [{}]", "rules.0.namespaces: Field required"),
        ("rules: [{namespaces: []}]", "rules.0.namespaces: List should have at least 1 item"),
        ("rules: [{namespaces: [a], hostPath: [/srv]}]", "rules.0.hostPath: Extra inputs are not permitted"),
        (
            "rules: [{namespaces: [a], hostPaths: [srv]}]",
            'rules.0.hostPaths.0: Value error, must be an absolute path without ".."',
        ),
        ("rules: [{namespaces: [a], hostPaths: [/srv/../etc]}]", "rules.0.hostPaths.0: Value error"),
        ("rules: [{namespaces: [a], hostPaths: [{path: /srv, readonly: true}]}]", "rules.0.hostPaths.0.readonly: Extra inputs"),
        ("rules: [{namespaces: [a], hostPorts: [80]}]", "rules.0.hostPorts.0: Input should be a valid string"),
        ("rules: [{namespaces: [a], hostPorts: ['0-10']}]", "rules.0.hostPorts.0: String should match pattern"),
        ("rules: [{namespaces: [a], patches: [kubelet]}]", "rules.0.patches.0: Input should be 'kubeadm' or 'containerd'"),
    ],
)
def test_a_mistake_is_told_with_its_field(text: str, complaint: str) -> None:
    """A restriction that is misspelt must not be no restriction."""
    with pytest.raises(PolicyError) as error:
        parse(text)
    assert complaint in str(error.value)


def test_a_field_that_is_left_out_is_as_without_a_file() -> None:
    """A rule says only what is different."""
    (rule,) = parse("rules: [{namespaces: ['*']}]").rules

    assert DEFAULT.rules == (rule,)


def test_the_first_rule_that_matches_counts() -> None:
    """Names are compared as a whole, with * for any characters."""
    policy = parse("rules: [{namespaces: [a, 'ci-*']}, {namespaces: ['*'], images: []}]")

    assert [[], ["*"], ["*"], []] == [policy.rule_for(name).images for name in ("ab", "a", "ci-1", "ci")]


def test_the_installed_file_says_what_holds_without_one() -> None:
    """Whoever edits it starts from what is."""
    assert DEFAULT == parse((ROOT / "config" / "manager" / "policy.yaml").read_text())


def test_the_page_has_every_field_and_its_examples_are_good() -> None:
    """docs/howto/policy.md."""
    page = (ROOT / "docs" / "howto" / "policy.md").read_text()
    examples = [block.partition("\n")[2] for block in page.split("```")[1::2] if block.startswith("yaml")]

    assert examples
    for example in examples:
        parse(example if yaml.safe_load(example).get("rules") else "rules: []")
    for field in Rule.model_fields.values():
        assert f"`{field.alias}`" in page
