"""Train, compare and deploy early-exit transformers."""

__version__ = "0.1.0"
