"""Thresholds from the shares of rows that are to leave at each exit."""

import numpy as np

from ee_lightning.functional.schedules.paths import LEVELS, Calibration, Floats, nested

FASTEST, SLOWEST = 0.02, 8.0


def shares(calibration: Calibration) -> Floats:
    r"""Let a share of the rows proportional to :math:`q^m` leave at exit m, as MSDNet does (Huang et al. 2018).

    For a ratio q, the most confident rows leave at the first exit, as many as its share; of those left the most
    confident leave at the second, and so on. A threshold is the score of the last row that leaves. The ratio, from far
    below 1 to far above, sweeps the budgets. No label is read.
    """
    return nested(np.stack([_at(calibration, q) for q in np.geomspace(FASTEST, SLOWEST, LEVELS)]))


def _at(calibration: Calibration, ratio: float) -> Floats:
    parts = ratio ** np.arange(len(calibration.costs))  # [exits]
    wanted = (calibration.num_rows * parts / parts.sum()).round().astype(int)  # [exits]
    stays = np.ones(calibration.num_rows, dtype=bool)
    thresholds = np.full(len(calibration.scores), np.inf)  # [early exits]
    for place, scores in enumerate(calibration.scores):
        ordered = np.sort(scores[stays])[::-1]
        if wanted[place] >= len(ordered):
            thresholds[place] = -np.inf
            break
        if wanted[place] > 0:
            thresholds[place] = ordered[wanted[place] - 1]
        stays &= scores < thresholds[place]
    return thresholds
