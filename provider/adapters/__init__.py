"""Implementations of provider.ports, one outside system each. Imported by provider.main alone, which chooses them."""
