"""Container engines by their command lines: docker, podman, nerdctl.

Never here: who owns which container (provider.adapters.kind.ownership), and what kind says.
"""
