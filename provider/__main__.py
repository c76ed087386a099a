"""The command: read the settings, run the manager."""

from __future__ import annotations

import os
import sys

from provider import settings
from provider.adapters.process import init


def main() -> int:
    """Exit codes: 0 told to end, 1 could not go on, 2 wrong usage."""
    try:
        chosen = settings.load(sys.argv[1:])
    except settings.SettingsError as error:
        print(f"{error}\nTry --help.", file=sys.stderr)
        return 2
    if os.getpid() == 1:
        init.become_init()
    from provider import main  # a second of imports that --help does not need

    return main.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
