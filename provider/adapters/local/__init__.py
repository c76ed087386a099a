"""The embedded runtime: a real Kubernetes control plane as local processes, nodes simulated by kwok. No container engine needed.

    runtime.py       LocalRuntime: the port
    making.py        creating and starting one cluster, step by step
    components.py    what runs and with which flags (stages.yaml: what kwok does to nodes and pods)
    preflight.py     what of a spec this runtime does not support
    view.py          what exists, as the port's observation
    daemons.py       processes that outlive the manager: start (daemonize.py), find again, end
    watching.py      noticing that they end
    state.py         the folder of a cluster and its state.json
    certificates.py  files of keys, certificates and kubeconfigs; pki.py: what is in them
    nodes.py         Node objects through the new API server
    loopback.py      free ports, reserved until their program has bound them
    logs.py          the components' logs, bounded

Never here: containers, kind, decisions about when to do something.
"""
