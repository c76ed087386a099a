"""Tier `envtest`: against a real etcd and kube-apiserver, as local processes."""
