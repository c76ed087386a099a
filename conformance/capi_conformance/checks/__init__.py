"""The checks, one file for each part of the contract. What they share lives one folder up; options and fixtures are in conftest.py."""
