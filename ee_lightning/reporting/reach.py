"""Thresholds that every sample reaches at once, or none."""


def one_sided(mean_exit: float, num_exits: int, samples: str) -> str | None:
    """Return what to warn of where all samples leave at the first exit or none before the last; else None.

    Args:
        mean_exit: Mean number of executed layers at a threshold.
        num_exits: Number of exits.
        samples: How to call the samples, in the plural.

    Example:
        >>> one_sided(1.0, 6, "80 samples")
        'all 80 samples leave at the first exit: the threshold is too low to hold one back'
    """
    if num_exits == 1:
        return None
    if mean_exit == 1:
        return f"all {samples} leave at the first exit: the threshold is too low to hold one back"
    if mean_exit == num_exits:
        return f"none of {samples} leaves before the last exit: the threshold is too high for them"
    return None
