"""The test tiers; see CONTRIBUTING.md."""
