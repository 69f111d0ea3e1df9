"""Pure functions of tensors: losses, layer weights, metrics from counts, curves, and how much the exits differ."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)  # so that what needs no torch loads none
