"""hack/venv.sh says what is missing before anything is made. What it makes is proved by every other target."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "venv.sh"

OLD = 'case "$*" in -V) echo "Python 3.9.2" ;; *) exit 1 ;; esac'
WITHOUT_VENV = 'case "$*" in "-m venv"*) exit 1 ;; *) exec "{python}" "$@" ;; esac'


QUICK = """\
case "$*" in
  "-m venv"*) mkdir -p "$4/bin" && ln -sf "$0" "$4/bin/python" ;;
  *pip*) ;;
  *) exec "{python}" "$@" ;;
esac"""
"""Makes an environment that is itself, and installs nothing."""


def run(folder: Path, python: str, lock: Path | str = "requirements-uv.lock") -> subprocess.CompletedProcess[str]:
    """venv.sh with a python3 of our making, for a virtual environment that does not exist."""
    fake = folder / "python3"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHON": str(fake)}
    return subprocess.run([SCRIPT, lock, folder / "venv"], env=environ, capture_output=True, text=True, check=False)


def real_python() -> str:
    return str(Path(os.path.realpath(sys.executable)))


def test_a_python_that_is_too_old_is_named_with_the_cure(tmp_path: Path) -> None:
    """The message has the version found, the one needed, and how to name another."""
    done = run(tmp_path, OLD)

    assert 1 == done.returncode
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_missing_venv_module_is_named_with_the_cure(tmp_path: Path) -> None:
    """Debian keeps venv in a package of its own."""
    done = run(tmp_path, WITHOUT_VENV.format(python=real_python()))

    assert 1 == done.returncode
    assert "apt-get install python3-venv" in done.stderr


@pytest.mark.parametrize("stale", [False, True])
def test_an_environment_is_made_again_only_when_its_inputs_changed(tmp_path: Path, stale: bool) -> None:
    """Made once, left alone while lock and Python stay the same, made again otherwise."""
    lock = tmp_path / "test.lock"
    lock.write_text("")

    first = run(tmp_path, QUICK.format(python=real_python()), lock)
    lock.write_text("# changed\n" if stale else "")
    second = run(tmp_path, QUICK.format(python=real_python()), lock)

    assert [0, 0] == [first.returncode, second.returncode]
    assert "making" in first.stderr
    assert stale == ("making" in second.stderr)


def test_an_interrupted_environment_is_made_again(tmp_path: Path) -> None:
    """Packages that could not be installed leave no environment that looks finished."""
    python = QUICK.format(python=real_python())

    failed = run(tmp_path, python.replace("*pip*) ;;", "*pip*) exit 1 ;;"))
    again = run(tmp_path, python)

    assert 1 == failed.returncode
    assert "cannot get the packages" in failed.stderr
    assert "making" in again.stderr
