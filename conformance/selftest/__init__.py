"""Proof that the conformance kit can fail: a provider that does everything right, and one fault of it for every check."""
