"""Kubernetes APIs: the management cluster's, its Events, and one look at a made cluster's own."""
