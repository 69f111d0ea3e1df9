"""Suites: what they are, their files, and parts of them."""
