"""Tools of this repository: getting binaries, writing reference pages, the demo. No product logic."""
