"""Container engines by their command lines: docker, podman, nerdctl. Knows containers, and nothing of who may touch which."""
