"""Exported models: what their folders hold, and how they run without torch."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
