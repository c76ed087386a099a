"""Nothing that belongs to one machine or one network is committed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ["py" + "pi.org", "python" + "hosted.org", "proxy.golang" + ".org", "sum.golang" + ".org", "npm" + "js.org"]
"""Package registries: which one answers is a matter of the machine's own configuration, never of this repository."""
PATHS = ["/ro" + "ot/", "/wo" + "rk/", r"/ho" + r"me/[a-z]", "/Us" + "ers/"]
WRONG = re.compile("|".join([*(re.escape(host) for host in HOSTS), *(rf"(?<![\w.}}]){path}" for path in PATHS)]))


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_path_and_no_package_registry_is_committed() -> None:
    """A clone works the same everywhere: no absolute path of somebody's machine, no host of a package registry."""
    files = tracked()
    if not files:
        pytest.skip("not a git checkout: there is no list of what is committed")

    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if WRONG.search(line)
    ]

    assert [] == found


@pytest.mark.fault(46, "every line of the locks is looked at", invariants="I15")
def test_locks_hold_hashes_and_exact_versions_only() -> None:
    """Each requirement of a lock is pinned and has hashes; no line adds an index or a link."""
    for lock in ROOT.glob("requirements*.lock"):
        entries = re.sub(r"\\\n\s*", " ", lock.read_text()).splitlines()
        requirements = [entry for entry in entries if entry.strip() and not entry.lstrip().startswith("#")]
        assert requirements
        assert [] == [entry for entry in requirements if not re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
