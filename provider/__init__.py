"""cluster-api-provider-kind: a Cluster API infrastructure provider whose clusters are real kind clusters.

The packages and what each may import are described in docs/architecture.md and held by import-linter (pyproject.toml).
"""

__version__ = "0.1.0"
