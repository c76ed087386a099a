"""Container engines by their command lines: docker, podman, nerdctl.

    cli.py      one class for all three; `Dialect` holds what differs
    select.py   which of them is used, and what its processes see of our environment
    inspect.py  from the JSON of `inspect` to containers
    errors.py   from the words of a failed command to a reason and a cure: a new quirk of an engine is a row there

Never here: who owns which container (provider.adapters.kind.ownership), and what kind says.
"""
