"""Which tokens of a row that is too long stay; importing it loads no torch."""

from collections.abc import Sequence


def kept_places(sequences: Sequence[int | None], max_length: int, side: str) -> list[int]:
    """Return the places of a row that stay, given for each the text that it belongs to, 0 or 1, or None if special."""
    texts = [[place for place, text in enumerate(sequences) if text == number] for number in (0, 1)]
    shorter, longer = sorted(texts, key=len)  # of two of the same length the second counts as the longer
    room = max_length - sequences.count(None)
    left_of_shorter = min(len(shorter), room // 2)
    dropped = {*_surplus(shorter, left_of_shorter, side), *_surplus(longer, room - left_of_shorter, side)}
    return [place for place in range(len(sequences)) if place not in dropped]


def _surplus(places: Sequence[int], left: int, side: str) -> Sequence[int]:
    return places[left:] if side == "right" else places[: len(places) - left]
