"""`capi-conformance`: runs the checks with pytest, wherever the package is installed and whatever folder it is called from."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from capi_conformance import options

PACKAGE = Path(__file__).resolve().parent
CHECKS = PACKAGE / "checks"
DESCRIPTION = "Checks whether an infrastructure provider keeps to the contract of Cluster API."
EPILOG = "Every other argument goes to pytest: -k NAME, -x, --junitxml=FILE, a file of checks by its path ..."


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes are pytest's: 0 all passed or skipped, 1 something failed, 4 an unusable profile; 2 means that no profile was named."""
    parser = _parser()
    own, rest = parser.parse_known_args(sys.argv[1:] if arguments is None else list(arguments))
    if own.profile is None and not os.environ.get(options.PROFILE_VARIABLE):
        parser.error(f"name the provider's profile: {options.PROFILE.for_command} FILE")
    given = [(option, getattr(own, option.name.replace("-", "_"))) for option in options.ALL]
    chosen = [f"{option.for_pytest}={value}" for option, value in given if value is not None]
    paths = [] if any(_is_of_checks(argument) for argument in rest) else [str(CHECKS)]
    return int(pytest.main([f"--config-file={PACKAGE / 'checks.ini'}", *chosen, *paths, *rest]))


def _parser() -> argparse.ArgumentParser:
    # Abbreviations are off: `--k` must reach pytest, not become --kubeconfig.
    parser = argparse.ArgumentParser("capi-conformance", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)
    for option in options.ALL:
        parser.add_argument(option.for_command, type=option.type, help=option.help)
    return parser


def _is_of_checks(argument: str) -> bool:
    """A path to one or more of the checks, `FILE::TEST` included."""
    path = Path(argument.partition("::")[0])
    return path.exists() and path.resolve().is_relative_to(CHECKS)


if __name__ == "__main__":
    sys.exit(main())
