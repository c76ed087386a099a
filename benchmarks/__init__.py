"""Measurements against plain kind. Run by `make benchmark`; never by the tests."""
