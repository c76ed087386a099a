"""hack.mutations: every bug still applies to the tree, is another text, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.mutations import MUTATIONS, ROOT, Mutation, Stale, mutated, red

REPORT = """<testsuites><testsuite>
<testcase name="test_a[1]"><properties><property name="fault" value="15"/></properties><failure/></testcase>
<testcase name="test_a[2]"><properties><property name="fault" value="15"/></properties><failure/></testcase>
<testcase name="test_passes"><properties><property name="fault" value="15"/></properties></testcase>
<testcase name="test_of_no_fault"><failure/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_applies_to_the_tree_as_it_is(mutation: Mutation) -> None:
    """Whoever moves the code moves the bug; what it makes is still Python."""
    text = mutated(mutation)

    assert text != (ROOT / mutation.file).read_text()
    compile(text, mutation.file, "exec")
    assert (ROOT / mutation.tests[0].split("::")[0]).exists()


@pytest.mark.parametrize("text", ["", "old\nold\n"])
def test_a_text_that_is_not_found_once_is_refused(text: str, tmp_path: Path) -> None:
    """Else a bug that was never made would count as one that no test finds, or half of one as the whole."""
    (tmp_path / "file.py").write_text(text)

    with pytest.raises(Stale, match=r"file\.py, not once"):
        mutated(Mutation("a bug", "file.py", "old\n", "new\n", ()), tmp_path)


def test_only_failed_tests_of_faults_count(tmp_path: Path) -> None:
    """Once for all parameters, with the row."""
    report = tmp_path / "junit.xml"
    report.write_text(REPORT)

    assert ["15: a"] == red(report)
