"""A conformance kit for infrastructure providers of Cluster API: what its own end-to-end framework asserts, for any provider.

It knows nothing of the provider it tests but a profile (profile.py), and reaches it through management clusters alone (management.py).
docs/howto/conformance.md tells how to run it with a provider of your own.
"""
