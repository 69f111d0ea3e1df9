"""Whether training will have the figures that checkpoints and early stopping are told to monitor."""

import re
from collections.abc import Sequence

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion
from ee_lightning.training import EarlyExitModule

_FIGURE_OF_OURS = re.compile(
    r"val/(.+/(area|score_at_.+x)|(exit_\d+|full_model|oracle)/score|oracle/speedup|(diversity|information)/.+)"
)


def check_monitors(callbacks: Sequence[Callback], criteria: Sequence[Criterion], module: EarlyExitModule) -> None:
    """Refuse to monitor a figure of the exits that training does not log, which would end it after an epoch.

    Other names pass: whoever writes a callback or a module knows what it logs.

    Args:
        callbacks: The trainer's.
        criteria: The criteria that are swept after every validation.
        module: What is trained.

    Raises:
        OptionError: A figure will not be there.
    """
    areas = [f"val/{criterion.name}/area" for criterion in criteria]
    of_exits = [f"val/exit_{exit_layer}/score" for exit_layer in range(1, module.model.num_exits + 1)]
    shown = [*areas, "val/score", " to ".join(dict.fromkeys((of_exits[0], of_exits[-1])))]
    for callback in callbacks:
        if not isinstance(callback, (ModelCheckpoint, EarlyStopping)) or callback.monitor is None:
            continue
        if _FIGURE_OF_OURS.fullmatch(callback.monitor) and callback.monitor not in [*areas, *of_exits]:
            raise OptionError(
                f"{type(callback).__name__} monitors {callback.monitor}, which this training does not log",
                where="--checkpoint.monitor" if isinstance(callback, ModelCheckpoint) else "--trainer.callbacks",
                mend=f"monitor one of {', '.join(shown)}; --sweep.criteria decides on the areas",
            )
