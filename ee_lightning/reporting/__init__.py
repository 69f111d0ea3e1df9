"""Reporting: what is shown of results, as tables and plots."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)  # so that tables need no plots
