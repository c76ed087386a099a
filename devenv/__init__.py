"""A management cluster as local processes, Cluster API's core, our manager: what the demo, the tests and the benchmarks share."""
