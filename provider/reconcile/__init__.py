"""The core: observe, decide, act, tell. Imports ports and models only.

Never here: kopf, the Kubernetes client, processes, files, the environment, the system clock. Where to look first:

    kindcluster.py         reconcile(key) for a KINDCluster: the table of contents
    kindcontrolplane.py    reconcile(key) for a KINDControlPlane: a mirror
  read
    scope.py               the object, its owner, its identity and its runtime
    capi.py                what Cluster API asks: owner, pause, filter
    identity.py            names, tokens and the ownership marker
    desired.py             what the runtime is asked for (kind_config.py, network.py)
    observe.py             what runs, and whether its API answers
  decide (pure)
    plan.py                what should happen next, or why nothing can
    attempts.py            how often a create was tried
    drift.py               what the cluster was made from, against what is wanted now
  act
    choose_runtime.py      which runtime makes a new cluster
    claim.py               finalizer, identity, and older claims to the cluster name
    made_from.py           the record that drift.py compares
    publish.py             kubeconfig Secrets (kubeconfig_secrets.py), then the endpoint
    tasks.py               what an action does as a long operation
    delete.py              how a cluster goes away
    patch.py               every write, guarded by the version that was read
  tell
    outcome.py             all that a pass has found
    conditions.py          its conditions
    status.py              its status
    report.py              writes it, and Events
"""
