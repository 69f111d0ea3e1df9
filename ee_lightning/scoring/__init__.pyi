from .scorer import BatchScorer as BatchScorer
