"""The core: observe, decide, act, tell. Imports ports and models only.

Never here: kopf, the Kubernetes client, processes, files, the environment, the system clock. Where to look first:

    kindcluster, kindcontrolplane   reconcile(key): the table of contents of a pass
    read      scope, capi, identity, desired (kind_config, network), observe
    decide    plan, attempts, drift: pure
    act       choose_runtime, claim, made_from, publish (kubeconfig_secrets), tasks, delete, patch
    tell      outcome, conditions, status, report
"""
