"""Implementations of provider.ports, one outside system each. Imported by the manager alone."""
