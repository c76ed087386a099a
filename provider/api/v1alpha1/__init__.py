"""The models of our kinds, v1alpha1: one file for each kind, and what they share."""
