"""The run folder: everything a run leaves behind, readable without the program that wrote it."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ee_lightning import __version__
from ee_lightning.data.custom import ModuleTask
from ee_lightning.errors import DataError, RunFolderError, TrainingDiverged
from ee_lightning.exits import Curve, EvaluatedRows, StoredExits
from ee_lightning.exits.threshold import in_numbers
from ee_lightning.files import UNFINISHED, found_in, read_json, reading, typed, written_whole
from ee_lightning.runs.figures import Figures, MeasuredSpeed, Results

if TYPE_CHECKING:
    from lightning import Trainer  # which takes seconds to import

SUMMARY = "summary.json"
IDENTITY = "identity.json"
CURVES = "curves.csv"
SPEED = "speed.csv"
DIAGNOSTICS = "diagnostics.json"
MODULE_TASK = "task.json"
FITTED = "fitted.json"
CALIBRATION = "calibration"
_EXTRA = "extra."
_MULTI_LABEL = "multi_label"
_LAYERS = "layers_of_exits"
_ROWS, _DIGEST = "rows", "sha256"
_EVALUATE = "run validate or test on its checkpoint"
_MEASURE = "measure again: ee-lightning speed"


@dataclass(frozen=True)
class Identity:
    """The identity of a run, besides the content of its data and weights: the `options_digest`, and who made it."""

    config: str
    version: str = __version__


class RunFolder:
    """A run's folder.

    It holds, beside the ``config.yaml``, ``metrics.csv`` and ``checkpoints/`` that Lightning writes:

    - ``exits/<split>.safetensors``: ``logits [exits, samples, classes]``, ``labels [samples]``, ``ids [samples]``, the
      ``layers_of_exits [exits]`` and the exits' extras, ``extra.<name> [exits, samples]``; of several labels a sample
      ``labels [samples, labels]``, and a ``multi_label`` that is true; in the metadata, as JSON, ``rows``: which rows
      of the split these are, and the tensors' ``sha256``;
    - ``exits/<split>.texts.json``, where asked for: the texts of these samples, by their ids;
    - ``exit_scores.csv``: the score of every exit after every epoch;
    - ``curves.csv``: the operating points of every criterion; ``curves.png`` draws them;
    - ``speed.csv``: what operating points reach on the clock, where that was measured; ``speed.png`` draws it;
    - ``predictions.csv``, where predictions were asked for, written row by row;
    - ``fitted.json``: what criteria learnt from the rows held out for calibration;
    - ``diagnostics.json``: how the exits of a split differ, and at which exit its samples leave;
    - ``summary.json``: the figures to compare runs by. It is written last: where it is missing, the run did not finish;
    - ``identity.json``: the identity of a training run;
    - ``task.json``: the task of your own data module, where one was given;
    - ``wandb.json``: the W&B run that it was logged to, if any, which goes on where this run goes on;
    - ``trackio.json``: the Trackio run that it was logged to, if any, which goes on likewise;
    - ``.lock``: held by the process that trains here; one that ended, but was not killed, took it away.

    Every other file is written whole or not at all. What can't be read or written raises a `RunFolderError`.

    Args:
        path: The folder; it need not exist yet.

    Attributes:
        config: The file of the resolved configuration.
        lock: The file whose lock the process holds that trains here.
        wandb: The file that names the W&B run of this run.
        trackio: The file that names the Trackio run of this run.
        curves_picture: The file that draws the curves.
        checkpoints: The folder of the checkpoints, which the folder of a training run has from its start.
        last_checkpoint: The checkpoint from which an interrupted training goes on.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config, self.lock, self.wandb = self.path / "config.yaml", self.path / ".lock", self.path / "wandb.json"
        self.trackio = self.path / "trackio.json"
        self.curves_picture, self.checkpoints = self.path / "curves.png", self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.ckpt"

    def __repr__(self) -> str:
        if not self.path.is_dir():
            return f"RunFolder({str(self.path)!r}: not there yet)"
        stored = ", ".join(file.stem for file in found_in(self.path / "exits", "*.safetensors")) or "none"
        state = "finished" if self.is_finished else "not finished"
        return f"RunFolder({str(self.path)!r}: {state}, exits stored: {stored})"

    def _repr_html_(self) -> str:
        """Return the figures of every split as tables, and the picture of the curves, for a notebook."""
        from ee_lightning.runs.notebook import html_of_run

        return html_of_run(self)

    def name_of(self, checkpoint: str | Path) -> str:
        """Name a checkpoint: by its place in this folder, which may be moved, or else by its full path."""
        if "://" in str(checkpoint):
            return str(checkpoint)
        file, here = Path(checkpoint).resolve(), self.path.resolve()
        return str(file.relative_to(here) if file.is_relative_to(here) else file)

    def swept_checkpoints(self) -> list[Path]:
        """Return the checkpoints whose exits were swept, as far as that was recorded."""
        named = [figures.get("checkpoint") for figures in self._read_figures().values()]
        return [self.path / name for name in dict.fromkeys(named) if name]

    @property
    def is_finished(self) -> bool:
        """Whether the run was completed."""
        return (self.path / SUMMARY).is_file()

    @property
    def is_swept(self) -> bool:
        """Whether a completed run has figures: an empty summary has none."""
        return bool(self._read_figures())

    def write_options(self, options: Mapping[str, Any]) -> None:
        """Write the options of a run from Python, with its name and place, as those of the command line have them."""
        place = {"root": str(self.path.parent.parent), "name": self.path.parent.name}
        with self.whole(self.config.name) as file:
            file.write_text(yaml.safe_dump({**options, "run": place}, sort_keys=False), encoding="utf-8")

    def write_identity(self, identity: Identity) -> None:
        """Write the identity of the run."""
        self.write_json(IDENTITY, asdict(identity))

    def write_module_task(self, task: ModuleTask) -> None:
        """Write the task of a data module that is not ours, which ``config.yaml`` names by its class alone."""
        self.write_json(MODULE_TASK, asdict(task))

    def read_module_task(self) -> ModuleTask:
        """Read it again."""
        file = self.path / MODULE_TASK
        with reading(file, hint="restore it, or train again"):
            return typed(ModuleTask, read_json(file))

    def check_is_run(self) -> None:
        """Raise a `RunFolderError` for a folder that is not there, or that holds runs and is none itself."""
        if not self.path.is_dir():
            hint = "name a run folder, such as runs/demo/version_0"
            raise RunFolderError("there is no such folder", where=self.path, hint=hint)
        runs = [run for run in found_in(self.path, "version_*") if (run / self.config.name).is_file()]
        if runs and not self.config.exists():
            newest = max(runs, key=lambda run: (len(run.name), run.name))
            raise RunFolderError("this folder holds runs, and is none itself", where=self.path, hint=f"name {newest}")

    def lacks(self, split: str) -> bool:
        """Return whether exits were swept, but not those of a split."""
        swept = self._read_figures()
        return bool(swept) and split not in swept

    def finish(self) -> None:
        """Mark a run as completed of which nothing was swept: its summary is empty."""
        self.write_json(SUMMARY, {})

    def clear_unfinished(self) -> None:
        """Delete what a killed process was writing."""
        for file in self.path.rglob(f".*{UNFINISHED}"):
            file.unlink(missing_ok=True)

    def remove_unused(self) -> None:
        """Remove the folder, unless it holds more than a run leaves that never trained."""
        files = {file for file in self.path.rglob("*") if not file.is_dir()}
        if files <= {self.config, self.path / IDENTITY, self.path / MODULE_TASK, self.wandb, self.trackio, self.lock}:
            shutil.rmtree(self.path, ignore_errors=True)

    def write_exits(self, split: str, exits: StoredExits) -> None:
        """Store what every exit said of a split."""
        layers = torch.tensor(exits.layers_of_exits)  # [exits]
        tensors = {"logits": exits.logits, "ids": exits.ids, _LAYERS: layers}
        tensors |= {} if exits.labels is None else {"labels": exits.labels}
        tensors |= {_MULTI_LABEL: torch.tensor(True)} if exits.multi_label else {}
        tensors |= {_EXTRA + name: tensor for name, tensor in exits.extras.items()}
        self._texts(split).unlink(missing_ok=True)  # of the rows before
        with written_whole(self._exits(split)) as file:
            rows = asdict(exits.rows) | {_DIGEST: _digest(tensors)}
            save_file(tensors, file, {_ROWS: json.dumps(rows)})  # one entry, as several are written in any order

    def read_exits(self, split: str) -> StoredExits:
        """Read what every exit said of a split.

        Raises:
            RunFolderError: There is no such folder, the split was not stored here, or the file is damaged.
        """
        self.check_is_run()
        if not (file := self._exits(split)).is_file():
            stored_by = "train with --data.calibration 500" if split == CALIBRATION else _EVALUATE
            raise RunFolderError(
                f"the exits of the split {split!r} are not stored in this run folder",
                where=file,
                hint=f"{stored_by}, or name another split or run folder",
            )
        with reading(file, hint=_EVALUATE):
            tensors = load_file(file)
            with safe_open(file, framework="pt") as opened:
                rows = json.loads((opened.metadata() or {}).get(_ROWS, "{}"))  # of which an older release wrote less
            if rows.pop(_DIGEST, digest := _digest(tensors)) != digest:
                raise ValueError("it is not as it was written: its digest differs")
            if tensors["ids"].lt(0).any():
                raise ValueError("its ids are below 0, and so no numbers of rows")
            try:
                return StoredExits(
                    logits=tensors["logits"],
                    labels=tensors.get("labels"),
                    ids=tensors["ids"],
                    extras={name.removeprefix(_EXTRA): t for name, t in tensors.items() if name.startswith(_EXTRA)},
                    multi_label=_MULTI_LABEL in tensors,
                    rows=typed(EvaluatedRows, rows),
                    layers_of_exits=tuple(tensors[_LAYERS].tolist()) if _LAYERS in tensors else (),
                )
            except (DataError, TrainingDiverged) as error:
                raise ValueError(f"{error.what} ({error.where})" if error.where else error.what) from error

    def write_texts(self, split: str, texts: Mapping[int, Sequence[str]]) -> None:
        """Store the texts of a split's rows, by their ids, beside its exits."""
        with written_whole(self._texts(split)) as file:
            file.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")

    def read_texts(self, split: str) -> dict[int, tuple[str, ...]] | None:
        """Read the texts of a split's rows, by their ids; None where they are not stored."""
        if not (file := self._texts(split)).is_file():
            return None
        with reading(file, hint=f"delete it, and {_EVALUATE} with --sweep.texts true"):
            return typed(dict[int, tuple[str, ...]], read_json(file))

    def has_exits(self, split: str) -> bool:
        """Return whether the exits of a split are stored."""
        return self._exits(split).is_file()

    def _exits(self, split: str) -> Path:
        return self.path / "exits" / f"{split}.safetensors"

    def _texts(self, split: str) -> Path:
        return self.path / "exits" / f"{split}.texts.json"

    def stored_splits(self) -> list[str]:
        """Name the splits to report on whose exits are stored; raise a `RunFolderError` if there are none."""
        stored = [file.stem for file in found_in(self.path / "exits", "*.safetensors")]
        splits = [split for split in stored if split != CALIBRATION]
        if not splits:
            self.check_is_run()
            raise RunFolderError("no exits are stored here", where=self.path, hint=_EVALUATE)
        return splits

    def read_calibration(self) -> StoredExits | None:
        """Read the exits of the rows held out for calibration; None where there are none."""
        return self.read_exits(CALIBRATION) if self.has_exits(CALIBRATION) else None

    def write_curves(self, split: str, curves: Sequence[Curve], *, all_points: bool = False) -> None:
        """Write the operating points of a split's criteria, sorted by speed-up, beside those of other splits.

        Unless all are asked for, those are left out that neither a plot nor a choice can tell from others.
        """
        from ee_lightning.runs.csv_tables import POINT, points_of, write_rows  # with pandas, as below

        write_rows(
            self.path / CURVES,
            points_of(split, curves, all_points=all_points),
            fixed=POINT,
            key=["split"],
            hint=_EVALUATE,
        )

    def read_curves(self) -> dict[str, list[Curve]]:
        """Read the curves of every split, in the order in which they were written."""
        from ee_lightning.runs.csv_tables import read_curves

        with reading(self.path / CURVES, hint=_EVALUATE):
            return read_curves(self.path / CURVES)

    def read_results(self, split: str, criteria: Collection[str]) -> Results:
        """Read what is there of some criteria on a split, in the order in which it was written."""
        if not criteria:
            return Results()
        summary, diagnostics, fitted = (
            self._read_splits(name).get(split, {}) for name in (SUMMARY, DIAGNOSTICS, FITTED)
        )
        of_exits = (diagnostics.get(name, {}) for name in ("exit_histograms", "leaving_auroc"))
        by_name = (summary.get("criteria", {}), fitted, *of_exits)
        return Results(
            [curve for curve in self.read_curves().get(split, []) if curve.criterion in criteria],
            *({name: entry for name, entry in entries.items() if name in criteria} for entries in by_name),
        )

    def write_speed(self, split: str, measured: Sequence[MeasuredSpeed]) -> None:
        """Write measured speeds in place of earlier ones of the same criteria on the same split, beside the others."""
        from ee_lightning.runs.csv_tables import write_rows

        rows = [{"split": split, **asdict(each), "threshold": in_numbers(each.threshold)} for each in measured]
        write_rows(self.path / SPEED, rows, fixed=list(rows[0]), key=["split", "criterion"], hint=_MEASURE)

    def read_speed(self) -> dict[str, list[MeasuredSpeed]]:
        """Read the measured speeds of every split, in the order in which they were written; empty where none were."""
        if not (path := self.path / SPEED).is_file():
            return {}
        from ee_lightning.runs.csv_tables import read_speeds

        with reading(path, hint=f"delete it, and {_MEASURE}"):
            return read_speeds(path)

    def write_exit_scores(self, epoch: int, scores: Mapping[str, Sequence[float]]) -> None:
        """Write the scores of all exits after an epoch, one list a metric, beside those of other epochs."""
        from ee_lightning.runs.csv_tables import write_rows

        rows = [
            {"epoch": epoch, "exit": number, **dict(zip(scores, of_exit, strict=True))}
            for number, of_exit in enumerate(zip(*scores.values(), strict=True), start=1)
        ]
        write_rows(self.path / "exit_scores.csv", rows, fixed=["epoch", "exit"], key=["epoch"], hint=_EVALUATE)

    def write_fitted(self, split: str, fitted: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what each criterion had learnt when the split was swept, by its name; nothing where none had to."""
        self._write_split(FITTED, split, fitted)

    def write_diagnostics(self, split: str, diagnostics: Mapping[str, Any]) -> None:
        """Write a split's diagnostics beside those of other splits."""
        self._write_split(DIAGNOSTICS, split, diagnostics)

    def write_summary(self, split: str, summary: Mapping[str, Any]) -> None:
        """Write a split's figures beside those of other splits; to be called last."""
        self._write_split(SUMMARY, split, summary)

    def read_summary(self) -> dict[str, Any]:
        """Read the figures of every split; raise a `RunFolderError` if there are none, as the run did not finish."""
        if splits := self._read_figures():
            return splits
        self.check_is_run()
        what, hint = "the run did not finish: it has no summary", "run fit to the end"
        if self.is_finished:
            what, hint = "nothing of this run was swept", _EVALUATE
        raise RunFolderError(what, where=self.path / SUMMARY, hint=hint)

    def read_figures(self, split: str) -> dict[str, Any]:
        """Read the figures of a split; raise a `RunFolderError` if there are none."""
        if split in (splits := self.read_summary()):
            return dict(splits[split])
        what = f"the summary has no figures of the split {split!r}"
        raise RunFolderError(what, where=self.path / SUMMARY, hint=f"{_EVALUATE} again")

    def _read_figures(self) -> dict[str, Any]:
        splits = self._read_splits(SUMMARY)
        with reading(self.path / SUMMARY, hint=f"delete it, and {_EVALUATE}"):
            typed(dict[str, Figures], splits, others=True)
        return splits

    def _read_splits(self, name: str) -> dict[str, Any]:
        """Read a JSON file that has an entry a split; empty where there is no such file."""
        path = self.path / name
        with reading(path, hint=f"delete it, and {_EVALUATE}"):
            return typed(dict[str, dict[str, Any]], read_json(path)) if path.is_file() else {}

    def _write_split(self, name: str, split: str, figures: Mapping[str, Any]) -> None:
        """Write a JSON file in which ``figures``, if there are any, take the place of those of the same split."""
        before = self._read_splits(name)
        splits = {key: entry for key, entry in {**before, split: figures}.items() if entry}
        if splits != before:
            self.write_json(name, splits)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the folder."""
        with self.whole(name) as file:
            file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def whole(self, name: str) -> AbstractContextManager[Path]:
        """Return a file to write that takes its place under ``name`` only when it is complete."""
        return written_whole(self.path / name)


def run_folder_of(trainer: "Trainer") -> RunFolder | None:
    """Return the folder of a trainer's run; None in a ``fast_dev_run``, which leaves nothing behind.

    Every process has to call this, as Lightning sends the name of the folder from the first process to the others.
    """
    if getattr(trainer, "fast_dev_run", False):  # an attribute that Lightning adds at run time
        return None
    return RunFolder(trainer.log_dir or trainer.default_root_dir)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
