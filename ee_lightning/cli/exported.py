"""An exported model with the rows of a file, as choose and speed take it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ee_lightning.cli.predict import Columns
from ee_lightning.data import TASKS, Task
from ee_lightning.data.custom import ANY_NUMBER, USUAL_METRICS
from ee_lightning.data.labelled_file import read_labelled
from ee_lightning.data.read import TEXT_COLUMNS
from ee_lightning.errors import OptionError
from ee_lightning.exits import CriterionSpec, StoredExits
from ee_lightning.functional import Kind
from ee_lightning.inference import Deployment, ExitPolicy, Sample
from ee_lightning.inference.all_exits import exits_of
from ee_lightning.inference.deployment import EARLY_EXIT
from ee_lightning.inference.input import InputRows
from ee_lightning.inference.speed import Contest, FullModel
from ee_lightning.inference.together import current, written_together
from ee_lightning.runs.operating_point import OperatingPoint
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.runtime.manifest import MANIFEST, Manifest, digest


class ExportedModel:
    """An exported model, the rows of a file, and what all exits say of them.

    Args:
        folder: The folder.
        threads: Number of threads that share an operation.

    Raises:
        RunFolderError: A file of the folder is missing, damaged, another's, or of another version.
        MissingExtraError: ONNX Runtime is not installed.
        OptionError: It can't load a graph.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.folder, self.runtime = folder, EarlyExitRuntime(folder, threads=threads)

    @property
    def deployment(self) -> Deployment:
        """What the model predicts, and when samples leave."""
        return self.runtime.deployment

    @property
    def metric(self) -> str:
        """The score that counts: the operating point's, the task's first, or the usual one."""
        point = self.deployment.rule.operating_point
        return self._task.metrics[0] if point is None else point.asked.metric

    def texts(self, file: Path | None, names: Columns | None) -> list[Sample]:
        """Return the rows of a file, which need no labels."""
        rows = [row.texts for row in InputRows(_given(file), self.deployment.choices(names))]
        if not rows:
            raise OptionError("there are no rows in the file", where=file, hint="give a file of some rows")
        return self.runtime.tokenise(*map(list, zip(*rows, strict=True)))

    def labelled(self, file: Path | None, names: Columns | None, label_column: str | None) -> StoredExits:
        """Return what all exits say of the rows of a file, with their labels."""
        rows = read_labelled(_given(file), self._task, self.deployment.choices(names), label_column)
        texts = [list(rows[name]) for name in TEXT_COLUMNS if name in rows.column_names]
        labels = torch.from_numpy(np.asarray(rows["label"]))  # [rows] or [rows, labels]
        said = self.exits(self.runtime.tokenise(*texts))
        return replace(said, labels=labels if labels.is_floating_point() else labels.long())

    def exits(self, samples: list[Sample]) -> StoredExits:
        """Return what all exits say of samples."""
        runtime = self.runtime
        return exits_of(runtime.engine.descent.backend, runtime.layers_of_exits, samples, runtime.manifest.fills)

    def known(self, criterion: CriterionSpec) -> CriterionSpec:
        """Return a criterion with what the folder knows of it; an `OptionError` if it has to be fitted and isn't."""
        policy = self.deployment.rule.changed(criterion, 0.0)
        policy.build()
        return policy.criterion

    def contest(self) -> Contest:
        """Return the model as it is measured."""
        runtime, manifest = self.runtime, self.runtime.manifest
        return Contest(
            engine=runtime.engine_of,
            full=FullModel(runtime.engine.descent.backend, manifest.fills),
            full_layers=len(manifest.graphs.layers),
            layers_of_exits=runtime.layers_of_exits,
            flops=None,
            device=torch.device("cpu"),
            conditions={"precision": manifest.precision, "torch": None},
        )

    def has_single(self, criterion: CriterionSpec) -> bool:
        """Whether a graph for single rows holds a criterion."""
        return self.runtime.engine_of(criterion.build(), 0.0).has_single

    def save(self, point: OperatingPoint) -> None:
        """Let the folder hold an operating point in place of its rule; either all of it or nothing is written."""
        rule = ExitPolicy(point.criterion, point.threshold, point)
        manifest = Manifest.read(current(self.folder))
        with written_together(self.folder) as unfinished:
            replace(self.deployment, rule=rule).write(unfinished / EARLY_EXIT)
            files = {**manifest.files, EARLY_EXIT: digest(unfinished / EARLY_EXIT)}
            replace(manifest, files=files).write(unfinished / MANIFEST)

    @property
    def _task(self) -> Task:
        """The task of the table, or one that is described by what the folder says."""
        deployed = self.deployment
        known = TASKS.get(deployed.task)
        if known is not None and known.label_names == deployed.label_names:
            return known
        return Task(
            name=deployed.task,
            text_columns=deployed.text_columns,
            label_names=deployed.label_names,
            metrics=tuple(USUAL_METRICS[deployed.target.kind]),
            score_range=ANY_NUMBER if deployed.target.kind is Kind.REGRESSION else None,
            multi_label=deployed.multi_label,
            label_separator=deployed.label_separator,
        )


def _given(file: Path | None) -> Path:
    if file is None:
        hint = "give a file of the kind of rows that it will predict: --input FILE"
        raise OptionError("an exported model has no rows of its own", where="the command line", hint=hint)
    return file
