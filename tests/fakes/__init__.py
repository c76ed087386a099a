"""In-memory stand-ins at the ports. Each passes the contract tests that the real implementation passes (tests/contract)."""
