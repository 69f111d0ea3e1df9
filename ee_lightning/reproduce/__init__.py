"""Reproduces published tables: a suite of trainings, run once each, beside the figures that were published."""
