"""From texts to samples, by a tokenizer of `transformers`."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase
from typing_extensions import override

from ee_lightning.data.encoding import check_max_length, encode, tells_texts_apart
from ee_lightning.inference.batches import Sample, samples_of
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.texts import TextEncoder


class TokenizerEncoder(TextEncoder):
    """Makes samples of texts by a fast tokenizer.

    Args:
        tokenizer: The model's, a fast one.
        deployment: What the model takes.

    Raises:
        OptionError: The longest row is too long for the tokenizer, or leaves no room for text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, deployment: Deployment) -> None:
        check_max_length(tokenizer, deployment.max_length, pairs=deployment.takes_pairs, option="max_length")
        super().__init__(deployment)
        self.tokenizer = tokenizer

    @override
    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> tuple[list[Sample], int]:
        columns, cut = encode(self.tokenizer, texts, pairs, self._deployment.max_length)
        return samples_of(columns), len(cut)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into a folder, where they name token types if the model takes them."""
        tokenizer = self.tokenizer
        with self._lock:
            names = tokenizer.model_input_names
            if "token_type_ids" not in names and tells_texts_apart(tokenizer, pairs=self._deployment.takes_pairs):
                tokenizer.model_input_names = [*names, "token_type_ids"]
                tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names  # which alone is written
            tokenizer.save_pretrained(folder)
