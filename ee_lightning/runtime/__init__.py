"""Exported models: what their folders hold, and how they run without torch."""
