from .prediction_writer import PredictionWriter as PredictionWriter
from .sweep_callback import ExitSweep as ExitSweep
