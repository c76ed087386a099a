"""Real components for tests, benchmarks and the demo: a management cluster's API made of local processes. Nothing of the product."""
