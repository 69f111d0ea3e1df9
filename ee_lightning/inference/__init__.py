"""Inference: early exit for real, at any batch size."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)  # so that what needs no torch loads none
