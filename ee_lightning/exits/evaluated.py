"""Which rows of a split were evaluated."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EvaluatedRows:
    """Which rows of a split were evaluated.

    Attributes:
        total: Number of rows of the split; None if it is not known, which counts as no more than were evaluated.
        is_drawn: Whether they are all rows of the split, or were drawn from them at random.
        files: The files that the split was read from, to whose rows the ids refer, counted on from file to file; none
            if the ids are the positions of the rows in the split.
    """

    total: int | None = None
    is_drawn: bool = True
    files: list[str] = field(default_factory=list)
