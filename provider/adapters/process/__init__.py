"""Programs as child processes: run with a deadline, killed with all they started, found again when they outlive us.

Never here: what docker or kind are. Processes that are meant to outlive the manager are provider.adapters.local.daemons.
"""
