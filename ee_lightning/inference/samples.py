"""What goes into the engine."""

from typing import NamedTuple


class Sample(NamedTuple):
    """A tokenised sample.

    Attributes:
        input_ids: Its token ids, special ones included.
        token_type_ids: The sentence of each token where the family knows them; None elsewhere.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None
