"""The command: read the settings, run the manager. Or, as `convert`, turn kind's config files into KINDClusters."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main() -> int:
    """Exit codes: 0 told to end, 1 could not go on, 2 wrong usage."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["convert"]:
        from provider import convert  # nothing of the manager: neither its settings nor its adapters

        return convert.main(arguments[1:])
    return run(arguments)


def run(arguments: Sequence[str]) -> int:
    from provider import settings
    from provider.adapters.process import init

    try:
        chosen = settings.load(arguments)
    except settings.SettingsError as error:
        print(f"{error}\nTry --help.", file=sys.stderr)
        return 2
    if os.getpid() == 1:
        init.become_init()
    from provider import main  # a second of imports that --help does not need

    return main.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
