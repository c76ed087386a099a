"""The embedded runtime: a real Kubernetes control plane as local processes, nodes simulated by kwok. No container engine needed.

    runtime.py      LocalRuntime: the port
    components.py   what runs and with which flags
    daemons.py      processes that outlive the manager: start, find again, end
    state.py        the folder of a cluster and what is remembered in it
    pki.py          keys, certificates, kubeconfigs
    nodes.py        Node objects through the new API server

Never here: containers, kind, decisions about when to do something.
"""
