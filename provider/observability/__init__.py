"""What the outside can see of a running manager: logs, metrics, health. Nothing in here decides anything."""
