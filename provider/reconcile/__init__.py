"""The core: observe, decide, act, tell. Imports ports, models and pure helpers only.

Never here: kopf, the Kubernetes client, processes, files, the environment, the system clock. Where to look first:

    kindcluster.py         reconcile(key): the table of contents
    scope.py               what one pass has read
    capi.py                what Cluster API asks: owner, pause, filter
    identity.py            names, tokens and the ownership marker
    desired.py             what the runtime is asked for (kind_config.py, request.py, network.py)
    plan.py                pure: what should happen next
    attempts.py            pure: how often a create was tried
    drift.py, outdated.py  pure: what the cluster was made from and what is wanted now
    conditions.py          pure: the conditions of a pass
    status.py              pure: the whole status (history.py); status_writer.py writes it
    phases.py              the small idempotent effects of a living cluster
    kubeconfig_secrets.py  the kubeconfig Secrets: publish, repair, remove
    delete.py              how a cluster goes away
    kindcontrolplane.py    reconcile(key) for a KINDControlPlane: a mirror
"""
