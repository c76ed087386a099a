"""The runtime `kind`: whole clusters as containers, made by the kind command.

    runtime.py     KindRuntime: the port
    cli.py         the kind command: version, config and environment it gets, the run that makes a cluster
    containers.py  removing and starting a cluster's containers
    ownership.py   whose containers they are, and what the port's observation says of them
    preflight.py   what would make a create fail, found beforehand
    progress.py    kind's output lines → steps
    errors.py      kind's error output → a reason and a cure
    events.py      the engine's events → the port's events, over reconnections
    logs.py        what helps to understand a failure, written to a folder

Never here: how an engine is called (provider.adapters.engine), and decisions about when to do something.
"""
