"""Training runs: the LightningCLI of fit, validate and test, with its callbacks."""

from ee_lightning.extras import load_lazily

__getattr__, __dir__, __all__ = load_lazily(__name__, __file__)
