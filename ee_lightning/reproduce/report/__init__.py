"""A suite's report."""
