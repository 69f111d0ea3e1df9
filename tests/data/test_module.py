import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from ee_lightning.errors import BackboneError, DataError, OptionError
from ee_lightning.training.data_module import TaskDataModule

RTE_HEADER = "index\tsentence1\tsentence2\tlabel\n"


@pytest.fixture
def module(official_glue, tokenizer_folder):
    """Make the data of a task in the small GLUE folder."""

    def make(task="rte", **options):
        options = {"root": str(official_glue), "tokenizer": str(tokenizer_folder), "max_length": 20, **options}
        return TaskDataModule(task, **options)

    return make


@pytest.fixture
def many_rows(official_glue):
    """Return SST-2 fifty training rows of various lengths."""
    rows = [f"{'the cat sat ' * (1 + row % 5)}\t{row % 2}" for row in range(50)]
    (official_glue / "SST-2" / "train.tsv").write_text("\n".join(["sentence\tlabel", *rows]))


class Recorder(LightningModule):
    """Learn nothing, and write down which rows came in every step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "validation": [], "calibration": []}

    def training_step(self, batch, batch_idx):
        self.seen["train"].append((self.current_epoch, batch["ids"].tolist()))
        return self.weight * batch["labels"].float().mean()

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.seen[("validation", "calibration")[dataloader_idx]].append((self.current_epoch, batch["ids"].tolist()))

    test_step = validation_step

    def predict_step(self, batch, batch_idx):
        return batch["ids"].tolist(), batch["labels"].tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(tmp_path, **options):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **quiet, **options)


def ids(loader):
    return [batch["ids"].tolist() for batch in loader]


def test_facts_of_the_task_need_neither_files_nor_tokenizer():
    data = TaskDataModule("mrpc", root="/nowhere", tokenizer="/nowhere")
    assert data.num_classes == 2
    assert data.metrics == ["f1", "accuracy"]
    assert data.label_names == ("not_equivalent", "equivalent")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 0),
        ("eval_batch_size", -1),
        ("max_length", 0),
        ("limit_train", 0),
        ("num_workers", -1),
        ("seed", -1),
    ],
)
def test_a_number_too_small_is_refused_at_once(option, value):
    with pytest.raises(OptionError, match=f"{option} is {value}") as caught:
        TaskDataModule("rte", **{option: value})
    assert caught.value.where == f"--data.{option}"


def test_an_unknown_task_is_refused_at_once():
    with pytest.raises(DataError, match="unknown task"):
        TaskDataModule("sst3")


def test_a_batch_has_all_a_backbone_needs(module):
    data = module()
    data.setup("fit")
    [batch] = data.train_dataloader()
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels", "ids"}
    assert batch["input_ids"].shape == batch["token_type_ids"].shape == batch["attention_mask"].shape
    assert dict(zip(batch["ids"].tolist(), batch["labels"].tolist(), strict=True)) == {0: 0, 1: 1}


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.usefixtures("many_rows")
def test_an_epoch_has_each_row_once_and_the_next_another_order(module, num_workers, capfd):
    data = module("sst2", batch_size=8, num_workers=num_workers)
    data.setup("fit")
    capfd.readouterr()  # which may warn of rows that repeat
    loader = data.train_dataloader()
    first = ids(loader)
    loader.sampler.set_epoch(1)
    second = ids(loader)
    assert len(loader) == len(first) == 7
    assert sorted(chain(*first)) == sorted(chain(*second)) == list(range(50))
    assert first != second
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("many_rows")
def test_a_limit_keeps_rows_by_the_seed_and_smaller_limits_keep_fewer_of_them(module):
    def kept(**options):
        data = module("sst2", **options)
        data.setup("fit")
        return set(chain(*ids(data.train_dataloader())))

    ten = kept(limit_train=10)
    assert len(ten) == 10
    assert kept(limit_train=10) == ten
    assert kept(limit_train=10, seed=1) != ten
    assert ten < kept(limit_train=20)
    assert kept(limit_train=1_000) == set(range(50))


@pytest.mark.usefixtures("many_rows")
@pytest.mark.parametrize("limit", [None, 10])
def test_rows_held_out_are_evaluated_and_never_trained_on(module, limit):
    data = module("sst2", calibration=15, limit_train=limit)
    data.setup("fit")
    trained_on = set(chain(*ids(data.train_dataloader())))
    _, calibration = data.val_dataloader()
    held_out = set(chain(*ids(calibration)))
    assert len(held_out) == 15
    assert len(trained_on) == (limit or 35)
    assert not held_out & trained_on
    again = module("sst2", calibration=15)
    again.setup("validate")
    assert set(chain(*ids(again.val_dataloader()[1]))) == held_out


@pytest.mark.usefixtures("many_rows")
def test_classes_are_counted_in_the_rows_that_are_trained_on(module):
    assert module("sst2").class_counts == [25, 25]
    data = module("sst2", calibration=15, limit_train=10)
    trained_on = [label for batch in data.train_dataloader() for label in batch["labels"].tolist()]
    assert data.class_counts == [trained_on.count(0), trained_on.count(1)]
    assert sum(data.class_counts) == 10


@pytest.mark.usefixtures("many_rows")
def test_holding_out_every_row_is_refused(module):
    with pytest.raises(OptionError, match="calibration is 50, and there are 50 training rows"):
        module("sst2", calibration=50).setup("fit")


def test_evaluation_uses_its_own_batch_size_and_keeps_every_row(module, official_glue):
    rows = [f"{row}\t{'the cat ' * (row + 1)}\tA dog.\tentailment\n" for row in range(5)]
    (official_glue / "RTE" / "dev.tsv").write_text(RTE_HEADER + "".join(rows))
    data = module(batch_size=1, eval_batch_size=2)
    data.setup("validate")
    [validation] = data.val_dataloader()
    assert ids(validation) == [[4, 3], [2, 1], [0]]


def test_testing_without_labels_is_refused_and_prediction_is_not(module):
    data = module()
    with pytest.raises(DataError, match="split 'test' of rte has no labels: 2 of 2 rows lack one") as caught:
        data.setup("test")
    assert "validate" in caught.value.hint
    assert "predict" in caught.value.hint
    data.setup("predict")
    [batch] = data.predict_dataloader()
    assert batch["labels"].tolist() == [-1, -1]


def test_a_regression_has_scores_for_labels(module):
    data = module("stsb")
    assert (data.num_classes, data.metrics, data.label_names) == (1, ["pearson", "spearman"], ())
    data.setup("fit")
    [batch] = data.train_dataloader()
    assert batch["labels"].dtype == torch.float32
    assert dict(zip(batch["ids"].tolist(), batch["labels"].tolist(), strict=True)) == {0: 5.0, 1: 0.25}
    with pytest.raises(DataError, match="split 'test' of stsb has no labels: 1 of 1 rows lack one"):
        data.setup("test")
    data.setup("predict")
    [batch] = data.predict_dataloader()
    assert batch["labels"].isnan().all()


def test_testing_with_labels_works(module, official_glue):
    (official_glue / "RTE" / "test.tsv").write_text(RTE_HEADER + "0\tA cat.\tA dog.\tentailment\n")
    data = module()
    data.setup("test")
    [loader] = data.test_dataloader()
    assert [batch["labels"].tolist() for batch in loader] == [[0]]


def test_a_stage_reads_only_what_it_needs(module, official_glue):
    (official_glue / "RTE" / "train.tsv").write_text("broken")
    module().setup("validate")
    module().setup("predict")
    with pytest.raises(DataError, match="no column"):
        module().setup("fit")
    (official_glue / "RTE" / "test.tsv").write_text("broken")
    module().setup("validate")
    with pytest.raises(DataError, match="no column"):
        module().setup("predict")


def test_without_a_trainer_every_split_that_is_there_is_prepared(module, cache_folder):
    module("mrpc").prepare_data()
    assert len([path for path in cache_folder.iterdir() if path.is_dir()]) == 2
    module("rte").prepare_data()
    assert len([path for path in cache_folder.iterdir() if path.is_dir()]) == 5


def test_training_rows_of_one_label_are_refused(module, official_glue):
    rows = "".join(f"{row}\tA cat.\tA dog.\tentailment\n" for row in range(3))
    (official_glue / "RTE" / "dev.tsv").write_text(RTE_HEADER + rows)
    module().setup("fit")  # a validation split may be so
    (official_glue / "RTE" / "train.tsv").write_text(RTE_HEADER + rows)
    with pytest.raises(DataError, match="all 3 training rows of rte have the label 'entailment'") as caught:
        module().setup("fit")
    assert caught.value.where == str(official_glue)
    module().setup("validate")


def test_rows_of_one_label_that_a_limit_leaves_are_refused(module, official_glue):
    rows = ["the cat sat\t1", *["a dog ran\t0"] * 20]
    (official_glue / "SST-2" / "train.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    with pytest.raises(DataError, match="all 2 of 21 training rows of sst2 that are trained on have") as caught:
        module("sst2", limit_train=2).setup("fit")
    assert "--data.limit_train" in caught.value.hint
    module("sst2").setup("fit")


def test_training_scores_that_are_all_the_same_are_refused(module, official_glue):
    path = official_glue / "STS-B" / "train.tsv"
    path.write_text("index\tsentence1\tsentence2\tscore\n0\ta\tb\t2.5\n1\tc\td\t2.5\n")
    with pytest.raises(DataError, match=r"all 2 training rows of stsb have the label '2\.5'"):
        module("stsb").setup("fit")


def test_a_task_without_training_rows_names_the_one_to_train_on(module):
    data = module("ax")
    data.setup("predict")
    with pytest.raises(DataError, match="ax has a test split only") as caught:
        data.setup("fit")
    assert "train on mnli" in caught.value.hint


def test_rows_that_are_cut_are_counted_and_told(module, official_glue, caplog):
    rows = "".join(f"{'the cat ' * length}\t{length % 2}\n" for length in range(1, 9))
    (official_glue / "SST-2" / "train.tsv").write_text("sentence\tlabel\n" + rows)
    module("sst2", max_length=12).setup("fit")
    assert "3 of 8 train rows (37.5 %) are cut to 12 tokens" in caplog.text
    assert "validation rows" not in caplog.text


def test_rows_of_both_splits_are_counted_and_told(module, official_glue, caplog):
    module("sst2").setup("fit")
    assert caplog.messages == ["no validation row has one of these labels: positive"]
    (official_glue / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na dull dog \t0\na new dog\t1\na dull dog \t1\n")
    module("sst2").setup("fit")
    assert "2 of 3 validation rows have the same texts as a training row" in caplog.text


def test_the_module_says_what_it_holds(module):
    data = module("sst2")
    assert "sst2 from" in repr(data)
    assert "2 labels (negative, positive), rows read: none yet" in str(data)
    data.setup("fit")
    assert f"rows read: train {len(data.rows('train'))}, validation {len(data.rows('validation'))})" in repr(data)


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_rows_that_are_trained_on_are_told_in_every_evaluation(module, official_glue, caplog, stage):
    rows = "sentence\tlabel\na dull dog \t0\na new dog\t1\na dull dog \t1\n"
    for name in ("dev", "test"):
        (official_glue / "SST-2" / f"{name}.tsv").write_text(rows)
    data = module("sst2")
    data.setup(stage)
    split = "validation" if stage == "validate" else stage
    assert caplog.text.count(f"2 of 3 {split} rows have the same texts as a training row") == 1
    data.setup(stage)
    assert caplog.text.count("rows have the same texts") == 1
    caplog.clear()
    (official_glue / "SST-2" / "train.tsv").unlink()  # which an evaluation can do without
    module("sst2").setup(stage)
    assert not caplog.text


def test_rows_that_repeat_within_the_training_rows_are_counted(module, official_glue, caplog):
    rows = [f"the cat {row % 7}\t{row % 2}\n" for row in range(10)]
    (official_glue / "SST-2" / "train.tsv").write_text("sentence\tlabel\n" + "".join(rows))
    module("sst2").setup("fit")
    assert "3 of 10 train rows have the same texts as an earlier one" in caplog.text


def test_rows_held_out_for_calibration_are_counted_and_told(module, official_glue, caplog):
    rows = [f"{'the cat ' * 10}{row % 3}\t{row % 3 % 2}\n" for row in range(30)]
    (official_glue / "SST-2" / "train.tsv").write_text("sentence\tlabel\n" + "".join(rows))
    module("sst2", max_length=12, calibration=9).setup("fit")
    assert "9 of 9 calibration rows (100.0 %) are cut to 12 tokens" in caplog.text
    assert "9 of 9 calibration rows have the same texts as a training row" in caplog.text


def test_rows_that_are_not_trained_on_are_not_counted(module, official_glue, caplog):
    rows = [f"{'the cat ' * 10 if row % 2 else f'the dog {row}'}\t{row % 3 % 2}\n" for row in range(20)]
    (official_glue / "SST-2" / "train.tsv").write_text("sentence\tlabel\n" + "".join(rows))
    (official_glue / "SST-2" / "dev.tsv").write_text("sentence\tlabel\n" + "".join(rows))
    data = module("sst2", max_length=12, limit_train=8, calibration=2)
    data.setup("fit")
    lengths = [length for batch in data.train_dataloader() for length in batch["attention_mask"].sum(1).tolist()]
    num_cut, num_short = lengths.count(12), 8 - lengths.count(12)
    assert f"{num_cut} of 8 train rows" in caplog.text
    assert "10 of 20 validation rows (50.0 %) are cut" in caplog.text
    assert f"{10 + num_short} of 20 validation rows have the same texts as a training row" in caplog.text


def test_an_empty_split_is_refused(module, monkeypatch):
    class Empty:
        def load(self, split):
            return datasets.Dataset.from_dict({"text_a": [], "label": []})

    monkeypatch.setattr("ee_lightning.data.tokenised.open_source", lambda root, task: Empty())
    with pytest.raises(DataError, match="split 'train' of rte is empty"):
        module().setup("fit")


def test_a_missing_tokenizer_is_told_before_any_row_is_read(module):
    with pytest.raises(BackboneError, match="no tokenizer can be loaded"):
        module(root="/nowhere", tokenizer="/nowhere").setup("fit")
    with pytest.raises(OptionError, match="no tokenizer is named"):
        module(root="/nowhere", tokenizer="").setup("fit")


def test_a_length_beyond_the_tokenizer_is_refused(module):
    with pytest.raises(OptionError, match="max_length is 500"):
        module(max_length=500).prepare_data()


class SaveBefore(Callback):
    """Write a checkpoint before some batches, in a file called after each."""

    def __init__(self, folder, *places):
        self.folder, self.places = folder, places

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) in self.places:
            trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}-{batch_idx}.ckpt", weights_only=False)


@pytest.mark.usefixtures("many_rows")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_trainer_that_goes_on_sees_the_rows_that_it_has_not_seen(module, tmp_path):
    whole, places = Recorder(), [(0, 3), (1, 0), (1, 6)]
    data = module("sst2", batch_size=8)
    trainer(tmp_path, max_epochs=3, callbacks=[SaveBefore(tmp_path, *places)]).fit(whole, datamodule=data)
    assert len(whole.seen["train"]) == 3 * 7
    for num_workers, (epoch, batch_idx) in zip((0, 0, 1), places, strict=True):
        resumed, data = Recorder(), module("sst2", batch_size=8, num_workers=num_workers)
        checkpoint = tmp_path / f"{epoch}-{batch_idx}.ckpt"
        trainer(tmp_path, max_epochs=3).fit(resumed, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        assert resumed.seen["train"] == whole.seen["train"][7 * epoch + batch_idx :]


class LoadsLast(SingleDeviceStrategy):
    """Load a checkpoint when the optimiser has been made, as FSDP does."""

    restore_checkpoint_after_setup = True


class CountingRecorder(Recorder):
    """Ask how many steps there are when the optimiser is made, for which the training rows are loaded."""

    def configure_optimizers(self):
        assert self.trainer.estimated_stepping_batches == 21
        return super().configure_optimizers()


@pytest.mark.usefixtures("many_rows")
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_rows_that_are_loaded_before_the_checkpoint_go_on_too(module, tmp_path):
    whole, resumed = CountingRecorder(), CountingRecorder()
    checkpoint, saves = tmp_path / "1-3.ckpt", [SaveBefore(tmp_path, (1, 3))]
    trainer(tmp_path, max_epochs=3, callbacks=saves).fit(whole, datamodule=module("sst2", batch_size=8))
    loads = trainer(tmp_path, max_epochs=3, strategy=LoadsLast(device="cpu"))
    loads.fit(resumed, datamodule=module("sst2", batch_size=8), ckpt_path=checkpoint, weights_only=True)
    assert resumed.seen["train"] == whole.seen["train"][10:]


@pytest.mark.usefixtures("many_rows")
def test_a_trainer_reshuffles_each_epoch_and_reads_all_of_the_validation(module, tmp_path):
    model = Recorder()
    trainer(tmp_path, max_epochs=3).fit(model, datamodule=module("sst2", batch_size=8))
    epochs = [[batch for epoch, batch in model.seen["train"] if epoch == wanted] for wanted in range(3)]
    assert all(sorted(chain(*epoch)) == list(range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert model.seen["validation"] == [(0, [0]), (1, [0]), (2, [0])]


@pytest.fixture
def sorted_rows(official_glue):
    """Return SST-2 sixty validation and test rows sorted by class and by length, and fifty training rows."""
    rows = [f"{'the cat sat ' * (1 + row // 12)}{row}\t{int(row >= 30)}" for row in range(60)]
    for name in ("dev", "test"):
        (official_glue / "SST-2" / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    train = [f"{'the dog ran ' * (1 + row % 5)}{row}\t{row % 2}" for row in range(50)]
    (official_glue / "SST-2" / "train.tsv").write_text("\n".join(["sentence\tlabel", *train]))


def drawn_by_seed(seed, count, *, of=60):
    return sorted(np.random.default_rng(seed).permutation(of)[:count].tolist())


@pytest.mark.usefixtures("sorted_rows")
@pytest.mark.parametrize(
    ("options", "count"),
    [({"limit_val_batches": 1}, 8), ({"limit_val_batches": 0.5}, 32), ({"fast_dev_run": 2}, 16), ({}, 60)],
)
def test_a_limited_validation_has_rows_drawn_by_the_seed(module, tmp_path, caplog, options, count):
    model = Recorder()
    data = module("sst2", batch_size=25, eval_batch_size=8, max_length=24, seed=5)
    trainer(tmp_path, **{"max_epochs": 2, **options}).fit(model, datamodule=data)
    for epoch in {epoch for epoch, _ in model.seen["validation"]}:
        batches = [batch for of, batch in model.seen["validation"] if of == epoch]
        assert sorted(chain(*batches)) == drawn_by_seed(5, count)
        assert batches[0] == sorted(batches[0], key=lambda row: -(row // 12))
    assert 0 < sum(row >= 30 for row in drawn_by_seed(5, count)) < count  # of both classes
    told = f"limit_val_batches limits the evaluation to {count} of 60 validation rows, drawn at random"
    assert (told in caplog.text) is (count < 60)


@pytest.mark.usefixtures("sorted_rows")
def test_limited_calibration_and_test_rows_are_drawn_by_the_seed_too(module, tmp_path, caplog):
    def seen(stage, **options):
        model, data = Recorder(), module("sst2", eval_batch_size=6, max_length=24, calibration=20, seed=3)
        getattr(trainer(tmp_path, **options), stage)(model, datamodule=data, verbose=False)
        return [sorted(chain(*(ids for _, ids in model.seen[kind]))) for kind in ("validation", "calibration")]

    everything, held_out = seen("validate")
    assert (everything, len(held_out)) == (list(range(60)), 20)
    some, some_held_out = seen("validate", limit_val_batches=2)
    assert some == drawn_by_seed(3, 12)
    assert some_held_out == [held_out[place] for place in drawn_by_seed(3, 12, of=20)]
    assert "limit_val_batches limits the evaluation to 12 of 20 calibration rows, drawn at random" in caplog.text
    assert seen("test", limit_test_batches=2) == [some, some_held_out]


@pytest.mark.usefixtures("sorted_rows")
def test_a_limited_prediction_has_rows_drawn_by_the_seed(module, tmp_path):
    data = module("sst2", eval_batch_size=10, max_length=24, seed=7)
    predicted = trainer(tmp_path, limit_predict_batches=2).predict(Recorder(), datamodule=data)
    assert sorted(chain(*(ids for ids, _ in predicted))) == drawn_by_seed(7, 20)


def test_a_trainer_predicts_the_unlabelled_test_split(module, tmp_path):
    assert trainer(tmp_path).predict(Recorder(), datamodule=module()) == [([0, 1], [-1, -1])]


def test_a_trainer_refuses_to_test_without_labels(module, tmp_path):
    with pytest.raises(DataError, match="has no labels"):
        trainer(tmp_path).test(Recorder(), datamodule=module())


def test_overfitting_on_batches_is_answered_by_the_limit_on_rows(module, tmp_path):
    with pytest.raises(OptionError, match="overfit_batches") as caught:
        trainer(tmp_path, overfit_batches=1, max_epochs=1).fit(Recorder(), datamodule=module())
    assert "--data.limit_train" in caught.value.hint


def test_the_command_line_can_build_it_and_link_its_facts():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TaskDataModule, "data")
    parser.add_argument("--classes", type=int)
    parser.add_argument("--metrics", type=list[str])
    parser.link_arguments("data.num_classes", "classes", apply_on="instantiate")
    parser.link_arguments("data.metrics", "metrics", apply_on="instantiate")
    built = parser.instantiate(parser.parse_args(["--data.task", "cola", "--data.limit_train", "5"]))
    assert (built.classes, built.metrics, built.data.limit_train) == (2, ["matthews"], 5)


@pytest.mark.slow
@pytest.mark.usefixtures("many_rows")
def test_two_processes_under_lightning_share_the_rows(official_glue, tokenizer_folder, tmp_path):
    script = Path(__file__).with_name("two_processes.py")
    subprocess.run(
        [sys.executable, script, official_glue, tokenizer_folder, tmp_path], check=True, timeout=300, cwd=tmp_path
    )
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    for epoch in ("0", "1"):
        assert len(first[epoch]) == len(second[epoch]) == 7
        assert sorted(chain(*first[epoch], *second[epoch])) == list(range(50))
    assert first["0"] != first["1"]
    assert first["predicted"] + second["predicted"] == [[0], [0]]
