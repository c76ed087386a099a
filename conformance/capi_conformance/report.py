"""What a run says of the contract, rule by rule: in each failure, at the end of the run, and as a page in Markdown (--report)."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from capi_conformance.profiles import Profile
from capi_conformance.rules import BY_ID, RULES, Rule, named

WORST = ("broken", "skipped", "kept")
"""What may become of a rule with checks, worst first: the worst of its checks counts."""
SEEN = {"failed": "broken", "skipped": "skipped", "passed": "kept"}
MARKER = "rule(*ids): the rules of the contract that a check is about (capi_conformance.rules)"


class Report:
    """A plugin of pytest, there only when there is a profile."""

    def __init__(self, profile: Profile, page: Path | None) -> None:
        self._profile, self._page = profile, page
        self._found: dict[str, dict[str, str]] = {}
        """Rule → check → what became of it."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        rules = rules_of(item)
        if report.failed and rules:
            report.sections.append(("contract", f"breaks {named(rules)}"))
        for rule in rules if report.when == "call" or not report.passed else ():
            checks = self._found.setdefault(rule, {})
            check = item.name.partition("[")[0]
            checks[check] = min(SEEN[report.outcome], checks.get(check, "kept"), key=WORST.index)
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for rule in RULES:
            if (verdict := self._verdict(rule)) == "broken":
                terminalreporter.line(f"{rule.id} {rule.title}: {verdict} by {', '.join(self._by(rule, 'broken'))}")
        if self._page is not None:
            self._page.write_text(self.text())

    def text(self) -> str:
        """The page."""
        kinds = ", ".join(f"`{kind}`" for kind in self._profile.kinds)
        counts = {word: sum(1 for rule in RULES if self._verdict(rule) == word) for word in (*WORST, "not checked")}
        found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        about = "By capi-conformance: each rule of Cluster API's contract (v1beta2), and what was found"
        lines = [
            f"# Conformance of {kinds}",
            "",
            f"{about}: {found}. Rules in bold are mandatory.",
            "",
            "| rule | | found | by |",
            "|---|---|---|---|",
        ]
        return "\n".join([*lines, *map(self._row, RULES), ""])

    def _row(self, rule: Rule) -> str:
        verdict = self._verdict(rule)
        by = rule.unchecked or "<br>".join(f"`{check}`" for check in self._by(rule, verdict))
        title = f"**{rule.title}**" if rule.mandatory else rule.title
        return f"| [{rule.id}]({rule.page}) | {title} | {verdict} | {by} |"

    def _verdict(self, rule: Rule) -> str:
        seen = self._found.get(rule.id, {}).values()
        # A check that does not apply to this provider takes nothing from those that do.
        return min(set(seen) - {"skipped"} or seen, key=WORST.index, default="not checked")

    def _by(self, rule: Rule, verdict: str) -> list[str]:
        return sorted(check for check, seen in self._found.get(rule.id, {}).items() if seen == verdict)


def rules_of(item: pytest.Item) -> tuple[str, ...]:
    """Raises UsageError for a rule that there is not."""
    rules = tuple(dict.fromkeys(one for mark in item.iter_markers("rule") for one in mark.args))
    if unknown := [one for one in rules if one not in BY_ID]:
        raise pytest.UsageError(f"{item.nodeid}: no such rule: {', '.join(unknown)}")
    return rules
