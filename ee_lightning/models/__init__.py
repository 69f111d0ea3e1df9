"""Models: backbones, internal classifiers, and the two together."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # so that what needs no torch loads none
