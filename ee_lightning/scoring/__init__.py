"""Tables of texts that are scored in parts, by many processes."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
