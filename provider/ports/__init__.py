"""The seams between decisions and effects: Protocols and the plain values that cross them. No implementation lives here.

Adapters implement these Protocols; the reconcile package imports nothing else of the outside world. One contract test suite
(tests/contract) runs against every implementation, the in-memory fakes included.

Two rules hold for every method: it has a deadline of its own, and it raises only `provider.errors` (anything else is a bug).
Observing methods never raise for an outside world that does not answer: they return an *unknown* value, and unknown must never be
read as absent.
"""
