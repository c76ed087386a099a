"""A conformance kit for infrastructure providers of Cluster API: what its own end-to-end framework asserts, for any provider.

It knows nothing of the provider it tests but a profile (profiles.py), and reaches it through management clusters alone (management.py).
The checks are pytest files in `checks/`; `capi-conformance` (__main__.py) runs them. The README beside this package is the manual.
"""
