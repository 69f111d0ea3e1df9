from .predictor import EarlyExitRuntime as EarlyExitRuntime
