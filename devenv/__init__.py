"""A management cluster as local processes, Cluster API's core, our manager: what the demo, the tests and the benchmarks share.

What runs:
- controlplane: a management cluster's API (etcd, kube-apiserver, kube-controller-manager)
- capi: Cluster API's core manager beside it, and clusterctl
- manager: our manager as a process
- managed: all three together, with what a user does and sees
- incluster: a kind management cluster that runs the managers in pods
- walkthrough: docs/howto/clusterctl.sh without nodes: what its Deployments would run, as processes
- conformance: the management clusters of the conformance kit

What people start:
- demo: `make demo`
- playground: `make capi-up`
- detached: what both share: processes that outlive the command that started them

What tests look through:
- processes: child processes that end with their parent, or are found again through a record
- apiproxy: a proxy before the API server that sees every request and injects faults
- audit: what the API server's audit log says one user did
- engine: the container engine: what exists under a cluster name, and a socket to it that can be closed
- registry: a registry's image, pulled or made of a Debian package
- second_daemon: a second dockerd beside the engine's, empty
- engine_events: what the engine did to one kind cluster

devenv imports provider and hack; neither imports devenv.
"""
