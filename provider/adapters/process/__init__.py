"""Programs as child processes: run with a deadline, killed with all they started, found again when they outlive us.

    command.py   run a program to its end, or read its lines for as long as it runs
    pipes.py     its input and output, and how much of it is kept
    launcher.py  become a program that dies with its parent (a script, not imported)
    strays.py    processes that a job left running: find, wait for, kill
    shielded.py  work that cancellation must not leave half-way

Never here: what docker or kind are. Processes that are meant to outlive the manager are provider.adapters.local.daemons.
"""
