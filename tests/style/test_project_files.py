"""Files for contributors and their tools name what exists: they parse, their commands can be made, their paths lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from hack import tiers

ROOT = Path(__file__).resolve().parents[2]
YAML = sorted(
    path
    for pattern in (".github/**/*.y*ml", ".pre-commit-config.yaml", "OWNERS*", "conformance/profiles/*.yaml")
    for path in ROOT.glob(pattern)
)
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "REVIEWING.md", ".github/PULL_REQUEST_TEMPLATE.md")]
COMMANDS = [*PAGES, *YAML, ROOT / ".ci" / "run", ROOT / "conformance" / "README.md"]
TOPS = "provider|hack|devenv|tests|benchmarks|config|docs|conformance|templates"
PATH = re.compile(rf"`((?:{TOPS}|\.ci)/[\w./-]*)`")
FILE = re.compile(rf"(?<![\w./])((?:{TOPS})/[\w./-]+\.(?:py|md|yaml|sh|mod))")
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", YAML, ids=name)
def test_yaml_of_the_project_parses(path: Path) -> None:
    """A workflow or an issue form that does not parse is ignored in silence."""
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("path", COMMANDS, ids=name)
def test_commands_that_are_named_can_be_made(path: Path) -> None:
    """Each `make TARGET` of a page, a hook or a workflow is a target of the Makefile."""
    named = set(re.findall(r"(?:`|^|entry: |say \"| {4})make ([a-z][a-z0-9-]*[a-z0-9])(?![\w-])", path.read_text(), re.MULTILINE))

    assert set() == named - TARGETS


@pytest.mark.fault(48, "every file that code names", invariants="I15")
def test_files_that_code_names_exist() -> None:
    """A docstring or comment that names a file fails here when the file has moved."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    named = {(place, path) for place in listed if (ROOT / place).is_file() for path in FILE.findall((ROOT / place).read_text())}

    assert [] == sorted((place, path) for place, path in named if not (ROOT / path).exists())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_that_are_named_exist(page: Path) -> None:
    """A path in backticks leads somewhere."""
    assert [] == [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()]


def test_the_workflow_asks_for_no_permission_and_runs_no_action() -> None:
    """It runs what a maintainer runs, on pushes and pull requests; a pull request cannot gain a right or a secret by it."""
    text = (ROOT / ".github" / "workflows" / "ci.yaml").read_text()
    workflow = yaml.safe_load(text)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]

    assert {} == workflow["permissions"]
    assert {"push", "pull_request"} == set(workflow[True])  # YAML 1.1 reads the key `on` as true
    assert [] == [step for step in steps if "uses" in step]
    assert "secrets." not in text
    assert ".ci/run" in [step["run"] for step in steps]


def test_hooks_run_from_the_environment_of_the_checkout() -> None:
    """A hook downloads nothing: its command is one of .venv or a target."""
    hooks = [hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"] for hook in repo["hooks"]]

    assert {"system"} == {hook["language"] for hook in hooks}
    assert [] == [hook["id"] for hook in hooks if not hook["entry"].startswith((".venv/bin/", "make "))]


@pytest.mark.parametrize("tier", [name for name, tier in tiers.TIERS.items() if tier.folders])
def test_every_tier_has_its_folders_and_its_line(tier: str) -> None:
    """Its folders exist and are in the table of CONTRIBUTING.md."""
    page = (ROOT / "CONTRIBUTING.md").read_text()

    assert f"| `{tier}` |" in page
    for folder in tiers.TIERS[tier].folders:
        assert (ROOT / folder).is_dir(), folder
        assert folder.removesuffix("/checks") in page, folder


def test_every_target_of_a_tier_runs_a_tier_that_exists() -> None:
    """A recipe that names an unknown tier fails only when somebody runs it."""
    recipes = re.findall(r"hack\.tiers ((?:[a-z0-9-]+ )*)--", (ROOT / "Makefile").read_text().replace("$(ALSO) ", ""))
    recipes += re.findall(r'ALSO="([a-z0-9 -]+)"', (ROOT / ".ci" / "run").read_text())

    assert len(recipes) > len(tiers.TIERS) - len(("coverage", "static", "generated", "conformance-selftest"))
    assert set() == {tier for recipe in recipes for tier in recipe.split()} - set(tiers.TIERS)


def test_make_lists_its_targets() -> None:
    """`make` alone is the table of contents."""
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for target in ("test", "test-unit", "test-conformance", "demo", "venv"):
        assert re.search(rf"^  {target} ", said, re.MULTILINE), target
