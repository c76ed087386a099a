"""The embedded runtime: a real Kubernetes control plane as local processes, nodes simulated by kwok. No container engine needed.

    runtime.py       LocalRuntime: the port
    making.py        making and mending one cluster, step by step
    components.py    what runs and with which flags (stages.yaml: what kwok does to nodes and pods)
    preflight.py     what a spec asks that cannot be given here
    view.py          what is there, as the port's observation
    daemons.py       processes that outlive the manager: start (daemonize.py), find again, end
    watching.py      hearing of their end
    state.py         the folder of a cluster and what is remembered in it
    lock.py          one worker per name; threads.py: never leave it with a thread at work
    certificates.py  files of keys, certificates and kubeconfigs; pki.py: what is in them
    nodes.py         Node objects through the new API server
    loopback.py      ports, held until they are bound
    logs.py          what the components said, bounded

Never here: containers, kind, decisions about when to do something.
"""
