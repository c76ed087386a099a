"""Hostile KINDClusters: how they are made, and what they must not achieve."""
