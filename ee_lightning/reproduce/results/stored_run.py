"""A finished run, as far as tables need it."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Criterion, Curve, Fitted, StoredExits, trace_curve
from ee_lightning.files import reading
from ee_lightning.functional import best_point, halves
from ee_lightning.inference.runs import RunOptions
from ee_lightning.operating import MeasuredSpeed, recipe_of
from ee_lightning.reporting import RunFolder, fit_criteria
from ee_lightning.reporting.run_folder import SUMMARY
from ee_lightning.reproduce.results.costs import Layers, layers_of, tokens_of
from ee_lightning.reproduce.suites.suite import Split

DEV: Split = "validation"
Variant = Literal["dev", "held_out"]
"""Where a threshold is chosen: on the dev set, or on rows held out of training."""
VARIANTS: tuple[Variant, ...] = get_args(Variant)

CLOCK_BATCH = "32"
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A finished run.

    Attributes:
        folder: Its folder.
        split: Of which rows its scores are reported.
        exits: What its exits said of them, with labels.
        dev: What they said of the dev set, with labels.
        held_out: What they said of the rows held out of training; None if there are none.
        metric: The task's first.
        options: Of its model and data.
    """

    folder: RunFolder
    split: Split
    exits: StoredExits
    dev: StoredExits
    held_out: StoredExits | None
    metric: str
    options: RunOptions

    @classmethod
    def read(cls, folder: RunFolder, split: Split = DEV) -> "StoredRun":
        """Read a run folder.

        Args:
            folder: The folder.
            split: Of which rows scores are reported.

        Raises:
            RunFolderError: Something is missing or damaged.
            DataError: The task is unknown.
        """
        figures = folder.read_figures(split)
        with reading(folder.path / SUMMARY, mend="run the training again"):
            metric = str(figures["metrics"][0])
        dev, held_out = folder.read_exits(DEV), folder.read_calibration()
        exits = dev if split == DEV else folder.read_exits(split)
        return cls(folder, split, exits, dev, held_out, metric, RunOptions.read(folder))

    @cached_property
    def layers(self) -> Layers:
        """The layers of its model.

        Raises:
            BackboneError: The backbone's configuration is needed and can't be had.
        """
        return layers_of(self.options, self.exits.num_exits)

    @cached_property
    def num_tokens(self) -> list[int]:
        """The number of tokens of each sample that is reported.

        Raises:
            EarlyExitError: The rows or the tokenizer can't be had.
        """
        return tokens_of(self.options, self.split, self.exits)

    @cached_property
    def halves(self) -> tuple[StoredExits, StoredExits] | None:
        """Halves of the rows held out of training: one to fit a criterion on, one to choose its threshold on."""
        if self.held_out is None or self.held_out.num_samples < 2:
            return None
        first, second = (self.held_out.select(half) for half in halves(self.held_out.num_samples, seed=0))
        return first, second

    def criterion(self, name: str) -> Criterion:
        """Make a criterion, fitted on the first of the `halves` if it has to be.

        Raises:
            OptionError: There is none of that name, or it has to be fitted and no rows were held out.
        """
        made = recipe_of(name).build()
        fit_criteria([made], None if self.halves is None else self.halves[0])
        return made

    def curve(self, criterion: Criterion) -> Curve:
        """Trace a criterion's curve on the rows that are reported."""
        return trace_curve(criterion, self.exits, [self.metric])

    def choose_threshold(self, criterion: Criterion, speedup: float, variant: Variant) -> float | None:
        """Choose the threshold with the best score among those that are at least so fast; of equals the fastest.

        Args:
            criterion: What `criterion` gives.
            speedup: All layers of the whole backbone over the mean of those run.
            variant: Where it is chosen.

        Returns:
            The threshold; None where no rows were held out to choose it on, or none is so fast.
        """
        exits = self._to_choose_on(criterion, variant)
        if exits is None:
            return None
        curve = trace_curve(criterion, exits, [self.metric])
        reached = self.layers.full / (self.layers.without_exit + curve.mean_exit)  # [points]
        chosen = best_point(curve.mean_exit, curve.scores[self.metric], allowed=reached >= speedup - _ROUNDING)
        return None if chosen is None else curve.thresholds[chosen].item()

    def wall_speedup(self, criterion: Criterion, threshold: float) -> float | None:
        """Give the speed-up on the clock at an operating point.

        Args:
            criterion: When to leave.
            threshold: In its unit.

        Returns:
            Of batches of 32, beside the whole backbone; None where none was measured at that threshold, or the file of
            the speeds is damaged.

        Raises:
            BackboneError: The backbone's configuration is needed and can't be had.
        """
        wanted = criterion.name, self.layers.full
        at_point = (
            each.wall_speedup
            for each in self.on_the_clock()
            if (each.criterion, each.full_layers) == wanted and math.isclose(each.threshold, threshold)
        )
        return next(at_point, None)

    def on_the_clock(self) -> list[MeasuredSpeed]:
        """Give what was measured of the split in batches of 32; nothing where the file is damaged."""
        try:
            measured = self.folder.read_speed().get(self.split, [])
        except RunFolderError:
            return []
        return [each for each in measured if each.batch_size == CLOCK_BATCH]

    def _to_choose_on(self, criterion: Criterion, variant: Variant) -> StoredExits | None:
        if variant == "dev":
            return self.dev
        if isinstance(criterion, Fitted):
            return None if self.halves is None else self.halves[1]
        return self.held_out
