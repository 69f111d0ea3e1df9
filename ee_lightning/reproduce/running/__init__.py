"""Brings the trainings of a suite to their end, here or on a cluster."""
