"""The core: observe, decide, act, tell. Imports ports, models and pure helpers only.

Never here: kopf, the Kubernetes client, processes, files, the environment, the system clock. Where to look first:

    cluster.py     reconcile(key): the table of contents
    scope.py       what one pass has read
    identity.py    names, tokens and the ownership marker
    plan.py        pure: what should happen next
    status.py      pure: what the object's status should say (conditions.py and history.py help)
    phases.py      the small idempotent effects of a living cluster
    secrets.py     the kubeconfig Secrets: publish, repair, remove
    deletion.py    how a cluster goes away
"""
