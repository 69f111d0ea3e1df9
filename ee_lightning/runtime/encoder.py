"""From texts to samples, by the tokenizer of an exported model."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from typing_extensions import override

from ee_lightning.data.cutting import kept_places
from ee_lightning.errors import OptionError, RunFolderError, first_line
from ee_lightning.files import read_json, reading
from ee_lightning.inference.batches import Sample
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.texts import TextEncoder
from ee_lightning.runtime.manifest import AGAIN

_TOKENIZER, _CONFIG = "tokenizer.json", "tokenizer_config.json"


class JsonEncoder(TextEncoder):
    """Makes samples of texts as the model's own tokenizer does.

    Args:
        folder: The folder of the exported model.
        deployment: What the model takes.
        with_types: Whether the model takes token types.

    Raises:
        RunFolderError: The tokenizer can't be read.
        OptionError: The longest row leaves no room for text.
    """

    def __init__(self, folder: Path, deployment: Deployment, *, with_types: bool) -> None:
        super().__init__(deployment)
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        except Exception as error:  # the Rust half of the tokenizers raises bare exceptions
            what = f"the tokenizer can't be read: {first_line(error)}"
            raise RunFolderError(what, where=folder / _TOKENIZER, hint=AGAIN) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        with reading(folder / _CONFIG, hint=AGAIN):
            self._side = str(read_json(folder / _CONFIG).get("truncation_side", "right"))
        special = self._tokenizer.num_special_tokens_to_add(is_pair=deployment.takes_pairs)
        if deployment.max_length <= special:
            what = f"max_length is {deployment.max_length}, and {special} tokens of a row are special ones"
            raise OptionError(what, where="max_length", hint=AGAIN)
        self._with_types = with_types

    @override
    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> tuple[list[Sample], int]:
        rows = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        samples, cut, longest = list[Sample](), 0, self._deployment.max_length
        for row in self._tokenizer.encode_batch(rows):
            ids, types = row.ids, row.type_ids
            if len(ids) > longest:
                places = kept_places(row.sequence_ids, longest, self._side)
                ids, types, cut = [ids[place] for place in places], [types[place] for place in places], cut + 1
            samples.append(Sample(ids, types if self._with_types else None))
        return samples, cut
