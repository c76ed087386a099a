"""The embedded runtime: a real Kubernetes control plane as local processes, nodes simulated by kwok. No container engine needed.

Never here: containers, kind, decisions about when to do something.
"""
