"""Rows of text files, one by one: comma- and tab-separated, JSON lines, and plain lines."""

from ee_lightning.rows.characters import half_a_pair, is_unicode
from ee_lightning.rows.formats import ENDINGS, Bad, Ragged, Records, flaw_of, read_records, refuse_two_columns
from ee_lightning.rows.lines import Lines, open_lines

__all__ = [
    "ENDINGS",
    "Bad",
    "Lines",
    "Ragged",
    "Records",
    "flaw_of",
    "half_a_pair",
    "is_unicode",
    "open_lines",
    "read_records",
    "refuse_two_columns",
]
