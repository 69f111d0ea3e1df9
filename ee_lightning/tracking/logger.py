"""The logger that neither a slow nor a broken Weights & Biases keeps from training."""

import atexit
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.extras import require_extra
from ee_lightning.runs.folder import RunFolder

if TYPE_CHECKING:
    import wandb  # which takes a second to import

_STEP, _EPOCH = "trainer/global_step", "epoch"
_AXES = {"train/*": _STEP, "lr-*": _STEP, "val/*": _EPOCH}  # disjoint: where two fit a name, W&B takes either
_GRACE, _PARTING = 10.0, 5.0  # seconds for W&B to notice that its time is over, and to end its own process


class Background:
    """A thread that does one job after another, until one fails; it does not keep the process from ending.

    The thread calls `on_failure` with the exception of a job that failed, after which only the last is done, unless
    nobody waits for the end any longer.
    """

    def __init__(self, on_failure: Callable[[Exception], None]) -> None:
        self._on_failure = on_failure
        self._jobs: SimpleQueue[tuple[Callable[[], object], bool]] = SimpleQueue()
        self._has_ended = Event()
        self._is_given_up = False
        Thread(target=self._work, daemon=True).start()

    def do(self, job: Callable[[], object]) -> None:
        """Do a job after all those before."""
        self._jobs.put((job, False))

    def end(self, last_job: Callable[[], object], seconds: float) -> bool:
        """Wait for a limited time until all is done, this last of all, and return whether it is."""
        self._jobs.put((last_job, True))
        try:
            return self._has_ended.wait(seconds)
        finally:
            self._is_given_up = True

    def _work(self) -> None:
        has_failed = is_last = False
        while not is_last:
            job, is_last = self._jobs.get()
            if is_last or not has_failed:
                try:
                    job()
                except Exception as error:
                    has_failed = True
                    if not self._is_given_up:
                        self._on_failure(error)
        self._has_ended.set()


class EarlyExitWandbLogger(WandbLogger):
    """Lightning's logger for Weights & Biases, bounded in time, and showing what a sweep of the exits finds.

    Where there is no account or W&B does not answer when the run starts, the run is kept offline, for ``wandb sync``.
    What fails later ends what is logged here, and not the training. ``train/*`` is drawn over steps and ``val/*`` over
    epochs. What an evaluation after training finds of a figure that has a curve over epochs goes to the summary alone.

    Args:
        start_timeout: Seconds to wait for W&B to register the run, after up to 20 to reach it and to log in.
        finish_timeout: Seconds to wait for uploads when the run is over.
        log_model: Whether to log the run folder with its best checkpoint as an artifact, also offline, after every
            evaluation that follows training; ``all`` logs every checkpoint when it is saved too, as Lightning does.
        **options: Options of Lightning's logger and of ``wandb.init``.

    Raises:
        MissingExtraError: The package wandb is not installed.
        OptionError: When the run starts: W&B refuses the options.
    """

    running: ClassVar[set["EarlyExitWandbLogger"]] = set()  # whose runs have begun here and have not ended

    def __init__(
        self,
        start_timeout: float = 30.0,
        finish_timeout: float = 300.0,
        log_model: Literal["all"] | bool = False,
        **options: Any,
    ) -> None:
        require_extra("wandb")
        super().__init__(**options)
        self._log_model = log_model  # which the base class refuses offline
        self._has_evaluated = False
        self._artifacts: list[wandb.Artifact] = []
        self._timeouts = (start_timeout, finish_timeout)
        self._background: Background | None = None
        self._folder: RunFolder | None = None
        self._is_own = False
        self._is_training = True
        self._has_failed = False
        self._over_epochs: set[str] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> "wandb.Run":
        """The W&B run, which is started when it is first asked for."""
        if self._experiment is None:
            import wandb

            self._is_own = wandb.run is None and not hasattr(self, "_attach_id")
            if self._is_own:
                self._experiment = self._started()
                atexit.register(self.finish)
            self.running.add(self)
            self._background = Background(self._tell_of)
        return cast("wandb.Run", super().experiment)

    def _started(self) -> "wandb.Run":
        from ee_lightning.tracking.start import start_run

        options = {name: value for name, value in self._wandb_init.items() if name != "anonymous"}  # deprecated
        run = start_run(options | ({"mode": "offline"} if self._offline else {}), *self._timeouts, self._folder)
        for axis in dict.fromkeys(_AXES.values()):
            run.define_metric(axis)
        for names, axis in _AXES.items():
            run.define_metric(names, step_metric=axis)
        return run

    def __getstate__(self) -> dict[str, Any]:
        """Leave the thread out: a process that takes this over has its own."""
        return super().__getstate__() | {"_background": None}

    def enter(self, folder: RunFolder | None, *, training: bool) -> None:
        """Set the run folder, whose W&B run goes on if this one has not begun, and whether it is now trained."""
        self._folder, self._is_training = folder, training

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if self._is_training:
            self._over_epochs |= metrics.keys()
        else:
            ended = {name: value for name, value in metrics.items() if name in {*self._over_epochs, _EPOCH}}
            metrics = {name: value for name, value in metrics.items() if name not in ended}
            ended.pop(_EPOCH, None)
            self._later(lambda: self.experiment.summary.update(ended))
        if metrics:
            self._later(partial(super().log_metrics, metrics, step))

    @override
    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        self._later(partial(super().log_hyperparams, params))

    @rank_zero_only
    def take_sweep(self, found: Sweep) -> None:
        """Log what `ee_lightning.tracking.charts` makes of a sweep, and after an evaluation its figures."""
        from ee_lightning.tracking.charts import of_epoch, of_evaluation

        if found.epoch is not None:
            log, epoch = super().log_metrics, found.epoch
            self._later(lambda: log({**of_epoch(found), _EPOCH: epoch}, found.step))
            return
        assert self._folder is not None
        picture, self._has_evaluated = self._folder.curves_picture, True
        self.log_metrics(found.scalars(), found.step)
        self._later(lambda: self.experiment.log(of_evaluation(found, picture)))

    @override
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        if self._log_model == "all":
            self._later(partial(super().after_save_checkpoint, checkpoint_callback))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Log the run folder, now that the other loggers have written it, where that was asked for."""
        self._has_failed = status != "success"
        has_evaluated, self._has_evaluated = self._has_evaluated, False
        if self._log_model and self._folder is not None and has_evaluated and not self._has_failed:
            self.log_run_folder(self._folder)

    @rank_zero_only
    def log_run_folder(self, folder: RunFolder) -> None:
        """Log a run folder as an artifact."""
        from ee_lightning.tracking.artifacts import log_run_folder

        def log() -> None:
            if not self.experiment.disabled:
                self._artifacts.append(log_run_folder(self.experiment, folder))

        self._later(log)

    @rank_zero_only
    def finish(self, exit_code: int | None = None) -> None:
        """End the run, at the end of the process at the latest, and wait for its uploads, for a limited time.

        The exit code is 0 for a run that is finished, 255 for one that was killed, and another for one that failed;
        None takes what Lightning said last of all.
        """
        if self._background is None:
            return
        from ee_lightning.tracking.artifacts import await_uploads
        from ee_lightning.tracking.start import leave_service

        def end() -> None:
            if self._is_own:
                await_uploads(self.experiment, self._artifacts, self._timeouts[1])
                self.experiment.finish(int(self._has_failed) if exit_code is None else exit_code)

        atexit.unregister(self.finish)
        self.running.discard(self)
        background, self._background = self._background, None
        is_in_time = False
        try:
            is_in_time = background.end(end, self._timeouts[1] + _GRACE)
        finally:
            if not is_in_time:
                self._tell_of(TimeoutError())
            if self._is_own:
                leave_service(_PARTING)

    def _later(self, log: Callable[[], object]) -> None:
        """Log without keeping training waiting; the run itself is started here and now."""
        if self.experiment is not None and self._background is not None:
            self._background.do(log)

    def _tell_of(self, error: Exception) -> None:
        from ee_lightning.tracking.start import notice, upload_of

        what = f"nothing more is logged there, because of {type(error).__name__}: {error}"
        if isinstance(error, TimeoutError):
            what = "not everything was uploaded in time"
        notice(f"{what}. The run folder has all results. Upload the rest later: {upload_of(self.experiment)}")


def end_runs(exit_code: int) -> None:
    """Report to W&B how a command ended, and wait for its uploads, for a limited time; see `finish`."""
    loggers = list(EarlyExitWandbLogger.running)
    for logger in loggers:
        logger.finish(exit_code)
    if not loggers:
        import wandb

        wandb.finish(exit_code)  # of Lightning's own logger, which would take the code of an exit that nobody calls
