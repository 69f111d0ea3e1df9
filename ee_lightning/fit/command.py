"""``fit``, ``validate`` and ``test``, by LightningCLI."""

import warnings
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, set_parsing_settings
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, RichModelSummary
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger
from omegaconf.errors import OmegaConfBaseException
from typing_extensions import override

from ee_lightning.data import CustomTask
from ee_lightning.data.custom import ModuleTask
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.fit.callbacks import LastCheckpoint, PartsSummary, StepSeed, check_best_checkpoint, check_suitable
from ee_lightning.fit.checkpoints import WholeCheckpointIO, loading_checkpoints, refuse_missing
from ee_lightning.fit.earlier_runs import (
    RunIsFinished,
    alone_in_its_folder,
    check_evaluable,
    check_resumable,
    evaluated_run,
    refuse_finished,
    run_to_resume,
)
from ee_lightning.fit.help import asked_help, help_of
from ee_lightning.fit.loggers import name_after_run
from ee_lightning.fit.messages import (
    check_trainer_options,
    check_values,
    quiet_lightning,
    root_on_this_disk,
    warn,
    wording_lightning,
)
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.fit.options_parser import LINKED, OptionsParser
from ee_lightning.fit.parsing import data_module_first, names_data_module, parsing_error, whole_numbers_first
from ee_lightning.fit.progress import suited_to_output
from ee_lightning.fit.signals import telling_interrupts
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.models.linear import warn_of_slow_bfloat16
from ee_lightning.packaged import find_config
from ee_lightning.runs.folder import Identity, RunFolder, run_folder_of
from ee_lightning.runs.run_options import options_digest
from ee_lightning.tracking import EarlyExitWandbLogger
from ee_lightning.training import EarlyExitModule
from ee_lightning.training.data_module import TaskDataModule
from ee_lightning.training.suiting import suited_to


class SaveConfig(SaveConfigCallback):
    """Saves the resolved options, once; W&B gets them under one key, where they can't collide with those of a sweep."""

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = run_folder_of(trainer)
        if self.already_saved or folder is None or not trainer.is_global_zero:
            return
        self.already_saved = True
        text = self.parser.dump(self.config, skip_unset=False)
        with folder.whole(folder.config.name) as file:
            file.write_text(text, encoding="utf-8")
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, TaskDataModule):
            folder.write_module_task(ModuleTask.of(data))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_hyperparams({"resolved_config": yaml.safe_load(text)})


CRITERIA = ("Voting", "Patience", "Confidence", "Entropy")
USUAL_EPOCHS = 3


class EarlyExitCLI(LightningCLI):
    """Links data and model: the task decides on classes and metrics, the backbone on the tokenizer."""

    resumed: RunFolder | None = None  # the folder of the run that `fit` goes on with
    version: int | None = None  # and its version
    evaluated: tuple[RunFolder, Namespace] | None = None  # the run of the checkpoint to evaluate, and its options
    identity: Identity

    @override
    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        return {name: skipped for name, skipped in LightningCLI.subcommands().items() if name != "predict"}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run.root", type=str, default="runs", help="Folder of all run folders.")
        parser.add_argument("--run.name", type=str, default="run", help="Name of the run: ROOT/NAME/version_N.")
        parser.add_argument(
            "--run.test", type=bool, default=False, help="Compute the curves on the test split too, after training."
        )
        parser.add_lightning_class_args(ExitSweep, "sweep")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.set_defaults(
            {
                "model.objective": {"class_path": "ee_lightning.training.JointObjective"},
                "sweep.criteria": [{"class_path": f"ee_lightning.exits.{name}"} for name in CRITERIA],
                "checkpoint.monitor": "val/score",
                "checkpoint.mode": "max",
                "checkpoint.filename": "epoch={epoch}-score={val/score:.4f}",
                "checkpoint.auto_insert_metric_name": False,
                "checkpoint.enable_version_counter": False,  # a checkpoint that is written again keeps its name
            }
        )
        for target, source in LINKED.items():
            apply_on = "instantiate" if source.startswith("data.") else "parse"  # what the data are known by comes late
            compute_fn: Any = int if source == "seed_everything" else None
            if self.subclass_mode_data:  # of a class that may lack the options, and has a task by its attributes
                target = target.replace("data.", "data.init_args.")
                if source.startswith("data."):
                    source, compute_fn = "data", _attribute_of_task(source.removeprefix("data."))
            parser.link_arguments(source, target, compute_fn=compute_fn, apply_on=apply_on)

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        assert isinstance(args, list)
        args = [args[0], *_with_shipped_configs(args[1:])]
        if (evaluated := evaluated_run(args)) is not None:
            of_its_run = [args[0], f"--config={evaluated.config}"]
            recorded = self._parsed(parser, of_its_run)
            self.evaluated = evaluated, recorded
            args = [*of_its_run, *_where_it_lies(evaluated, recorded[args[0]]["run"]), *args[1:]]
        self.config = self._parsed(parser, args)
        options = self.config[args[0]]
        check_values(options.as_dict())
        for name in ("trainer.logger", "trainer.callbacks"):
            options[name] = _each_once(options[name])
        if args[0] == "fit":
            check_suitable(each["class_path"] for each in _listed(options["trainer.callbacks"]))
        options["run.root"] = str(root_on_this_disk(options["run.root"]))
        model, trainer = options["model"], options["trainer"]
        model["heads.pooling"], model["optimization.head_learning_rate"] = suited_to(
            model["backbone"],
            model["heads.pooling"],
            model["optimization.learning_rate"],
            model["optimization.head_learning_rate"],
        )
        if args[0] == "fit":
            if (trainer["max_epochs"], trainer["max_steps"]) == (None, -1):
                trainer["max_epochs"] = USUAL_EPOCHS
            check_best_checkpoint(options["checkpoint"], trainer)

    def _parsed(self, parser: LightningArgumentParser, args: list[str]) -> Namespace:
        try:
            return parser.parse_args(args)
        except (OmegaConfBaseException, UnicodeDecodeError) as error:
            what = f"a configuration file is not UTF-8: {error}" if isinstance(error, UnicodeError) else str(error)
            raise parsing_error(what, args, []) from error
        except ArgumentError as error:
            known = self._subcommand_parsers[args[0]].get_defaults()
            raise parsing_error(str(error.message), args, [*known.keys()]) from error

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = whole_numbers_first(super()._prepare_subcommand_parser(klass, subcommand, **kwargs))
        parser.set_defaults(weights_only=True)  # no pickle, from a disk or from elsewhere
        return parser

    def _parse_ckpt_path(self) -> None:
        """Leave the options as they are given: a checkpoint holds none."""

    def before_instantiate_classes(self) -> None:
        """Find the labels of a custom task, and the checkpoint; raise an error where there is none to evaluate."""
        self.identity = Identity(options_digest(self._options(self.config)))
        data = self.config[str(self.subcommand)]["data"]
        if data.get("own") is not None and data["own"]["label_names"] is None and not data["own"]["regression"]:
            own = CustomTask(**data["own"].as_dict())  # whose labels go into the run folder too
            data["own"]["label_names"] = list(own.as_task(data["task"], data["root"]).label_names)
        checkpoint = self._get(self.config, "ckpt_path")
        if self.subcommand == "fit":
            options = self.config["fit"]["run"]
            if (found := run_to_resume(Path(options["root"]), options["name"], checkpoint)) is not None:
                self.resumed, self.version = found
                self.config["fit"]["ckpt_path"] = checkpoint = check_resumable(self.resumed, self._options(self.config))
        if self.resumed is not None and self.resumed.last_checkpoint.exists():
            return
        warnings.filterwarnings("ignore", message="The dirpath has changed")  # that of a named checkpoint is another
        if self.subcommand != "fit" or checkpoint is not None:
            refuse_missing(checkpoint, str(self.subcommand))
        if self.evaluated is not None:
            folder, recorded = self.evaluated
            check_evaluable(folder, self._options(recorded), self._options(self.config))
        elif self.subcommand != "fit":
            warn(
                f"no config.yaml lies two folders above {checkpoint}: "
                "the options have to be those that its model was trained by"
            )

    def _options(self, config: Namespace) -> dict[str, Any]:
        """Return the options of a command, nested, as its ``config.yaml`` has them."""
        command = config["subcommand"]
        options: dict[str, Any] = yaml.safe_load(self._parser(command).dump(config[command], skip_unset=False))
        return options

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Put the run folder's logger before the configured ones, so that every run has its folder."""
        root, options = Path(self._get(self.config, "run.root")), self._get(self.config_init, "trainer")
        try:
            if not options["fast_dev_run"]:
                root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                f"no run folder can be made: {error.strerror}", where=f"--run.root {root}", hint="name another folder"
            ) from error
        folder = MetricsLog(root, self._get(self.config, "run.name"), self.version)
        loggers = [folder, *_listed(None if options["logger"] is True else options["logger"])]
        check_trainer_options(options)
        with wording_lightning("--trainer", str(self.subcommand)):
            plugins = [WholeCheckpointIO(), *_listed(options["plugins"])]
            trainer = super().instantiate_trainer(logger=loggers, plugins=plugins, **kwargs)
        if str(trainer.precision).startswith("bf16"):
            warn_of_slow_bfloat16(trainer.strategy.root_device.type)
        usual = (ModelSummary, RichModelSummary)  # those that the Trainer adds
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks[:] = [PartsSummary() if type(each) in usual else each for each in suited_to_output(callbacks)]
        return trainer

    @override
    def instantiate_classes(self) -> None:
        with wording_lightning("--trainer, --checkpoint", str(self.subcommand)):
            super().instantiate_classes()

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise OptionError(str(error), where="--seed_everything", hint="give a number from 0") from error

    def _run_subcommand(self, subcommand: str) -> None:
        with ExitStack() as stack:
            stack.enter_context(alone_in_its_folder(self.trainer, is_new=self.resumed is None))
            if isinstance(self.trainer.logger, MetricsLog):
                name_after_run(self.trainer.loggers, self.trainer.logger)
            for logger in self.trainer.loggers:
                if isinstance(logger, EarlyExitWandbLogger):
                    logger.enter(run_folder_of(self.trainer), training=subcommand == "fit")
            stack.enter_context(wording_lightning("Lightning", subcommand))
            stack.enter_context(loading_checkpoints(self.trainer))
            stack.enter_context(telling_interrupts())
            super()._run_subcommand(subcommand)

    def before_fit(self) -> None:
        """Go on from the last checkpoint of the run that was interrupted, or start again in its folder."""
        test = self._get(self.config, "run.test")
        if test:
            self.datamodule.setup("test")  # which refuses rows without labels now, not when training is over
        if self.resumed is not None:
            refuse_finished(self.resumed, test=test)  # which it may have been before this process got the lock
            if self.resumed.last_checkpoint.exists():
                self.config_init["fit"]["ckpt_path"] = str(self.resumed.last_checkpoint)
        if (folder := run_folder_of(self.trainer)) is not None and self.trainer.is_global_zero:
            folder.clear_unfinished()
            folder.write_identity(self.identity)
            if (
                self.resumed is not None
                and not folder.last_checkpoint.exists()
                and (folder.path / "metrics.csv").exists()
            ):
                print(f"no checkpoint was written yet, so the run starts again: {folder.path}")

    def after_fit(self) -> None:
        """Sweep the exits of the best checkpoint."""
        best = self._get(self.config_init, "checkpoint").best_model_path  # of --checkpoint, whatever else writes some
        if best:
            with self._get(self.config_init, "sweep").repeating_nothing(self.trainer, best):
                self.trainer.validate(self.model, datamodule=self.datamodule, ckpt_path=best, verbose=False)
            if self._get(self.config, "run.test"):
                self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=best, verbose=False)
        elif (folder := run_folder_of(self.trainer)) is not None and self.trainer.is_global_zero:
            folder.finish()
            on_rows = " --trainer.limit_val_batches 1.0" if self.trainer.limit_val_batches == 0 else ""
            print(
                "nothing was swept, as no checkpoint was kept at a validation; the last one can be: "
                f"ee-lightning validate --ckpt_path {folder.last_checkpoint}{on_rows}"
            )


def _where_it_lies(run: RunFolder, recorded: Namespace) -> list[str]:
    """Return the option of the folder of all run folders, where a run was moved with its name, and none elsewhere."""
    name = Path(recorded["name"])
    root = run.path.parents[len(name.parts)]
    is_moved = run.path.parent == root / name and root != Path(recorded["root"]).resolve()
    return [f"--run.root={root}"] if is_moved else []


def _with_shipped_configs(options: Sequence[str]) -> list[str]:
    """Replace names of shipped configurations, such as ``--config demo``, by their files."""
    found = []
    for before, option in zip(("", *options), options, strict=False):
        flag, equals, named = option.partition("=")
        if before in {"-c", "--config"}:
            found.append(find_config(option))
        else:
            found.append(f"{flag}={find_config(named)}" if flag == "--config" and equals else option)
    return found


def _attribute_of_task(name: str) -> Callable[[LightningDataModule], Any]:
    return lambda data: _plain(getattr(ModuleTask.of(data), name))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _listed(option: Any) -> list[Any]:
    """Return the values of an option that takes one or several; false takes none."""
    return option if isinstance(option, list) else [option] if option else []


def _each_once(option: Any) -> Any:
    """Return a list without repeats, as configurations that add to it may be given twice; any other value as it is."""
    return [each for at, each in enumerate(option) if each not in option[:at]] if isinstance(option, list) else option


def settings() -> dict[str, Any]:
    """Return the settings of the command line, apart from what it works on."""
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    return {
        "save_config_callback": SaveConfig,
        "seed_everything_default": 42,
        "trainer_defaults": {"callbacks": [StepSeed()]},
        "parser_class": OptionsParser,
        "parser_kwargs": {"parser_mode": "omegaconf+", "exit_on_error": False},
        "auto_configure_optimizers": False,
    }


def run(arguments: Sequence[str], what: str = "") -> None:
    """Run a command of LightningCLI, which comes first among its options; its help says what it does."""
    quiet_lightning()
    command = arguments[0]
    if (topic := asked_help(arguments[1:])) is not None:
        parser = FitOptionsParser()._subcommand_parsers[command]
        print(help_of(command, what, parser, topic), end="")
        return

    class OneCommand(EarlyExitCLI):
        """Collects the options of the command alone, as those of each take time."""

        @override
        @staticmethod
        def subcommands() -> dict[str, set[str]]:
            return {command: EarlyExitCLI.subcommands()[command]}

    try:
        evaluated = evaluated_run(arguments)
        options = [*arguments[1:], *([] if evaluated is None else [f"--config={evaluated.config}"])]
        is_own = names_data_module(options)
        kind = LightningDataModule if is_own else TaskDataModule
        OneCommand(EarlyExitModule, kind, subclass_mode_data=is_own, args=data_module_first(arguments), **settings())
    except RunIsFinished as finished:
        print(finished)


class FitOptionsParser(EarlyExitCLI):
    """The parser of the command line, alone: to build it takes seconds, to parse a fraction of one."""

    def __init__(self) -> None:
        super().__init__(EarlyExitModule, TaskDataModule, args=[], load_from_checkpoint_support=False, **settings())

    def resolve(self, options: Sequence[str]) -> dict[str, Any]:
        """Return all options of a run, nested, as its ``config.yaml`` has them.

        Args:
            options: What follows ``fit`` on the command line.

        Raises:
            OptionError: They can't be parsed.
        """
        super().parse_arguments(self.parser, ["fit", *options])
        return self._options(self.config)

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.config = {"subcommand": None, "seed_everything": False}

    @override
    def before_instantiate_classes(self) -> None:
        pass

    instantiate_classes = before_instantiate_classes
