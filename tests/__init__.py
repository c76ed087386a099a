"""The test tiers, a folder each, cheapest first; what each needs and proves is in CONTRIBUTING.md, how they run in hack/tiers.py.

    unit        Python only, mirrors provider/: decisions and what carries them out, around fakes
    style       rules about the repository itself
    component   real processes around fake commands
    contract    one suite for every implementation of a port
    envtest     a real etcd and kube-apiserver
    local       the embedded runtime with its real processes
    capi        Cluster API's core manager and clusterctl
    e2e         a container engine and kind

fakes/ holds what stands in for the outside world at the ports. The conformance kit and its self-test are in conformance/.
"""
