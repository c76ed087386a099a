"""Programs as child processes: run with a deadline, killed with all they started, found again when they outlive us."""
