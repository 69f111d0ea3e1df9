"""How a run folder looks in a notebook."""

import base64
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from ee_lightning.errors import RunFolderError
from ee_lightning.notebook import html_table
from ee_lightning.runs.figures import NAMED_SPEEDUPS

if TYPE_CHECKING:
    from ee_lightning.runs.folder import RunFolder


def html_of_run(folder: "RunFolder") -> str:
    """Return a run's figures, split by split, and the picture of its curves."""
    try:
        splits = folder.read_summary()
    except RunFolderError:
        return f"<code>{escape(repr(folder))}</code>"
    parts = [f"<code>{escape(repr(folder))}</code>", *(_of_split(*each) for each in splits.items())]
    if folder.curves_picture.is_file():
        picture = base64.b64encode(folder.curves_picture.read_bytes()).decode()
        parts.append(f'<img alt="score against speed-up" width="640" src="data:image/png;base64,{picture}">')
    return "\n".join(parts)


def _of_split(split: str, summary: Mapping[str, Any]) -> str:
    metric, *_ = summary["metrics"]
    title = f"{summary['task']} {split}: {metric} (%) by speed-up, {summary['samples']} samples"
    return html_table(
        title, ["criterion", *(f"{each:g}x" for each in NAMED_SPEEDUPS), "area"], [*_lines(summary, metric)]
    )


def _lines(summary: Mapping[str, Any], metric: str) -> Iterator[list[str]]:
    names = [*(f"score_at_{each:g}x" for each in NAMED_SPEEDUPS), "area"]
    for criterion, by_metric in summary["criteria"].items():
        scores = (by_metric[metric][name] for name in names)
        yield [criterion, *("–" if score is None else f"{100 * score:z.1f}" for score in scores)]
    yield ["full model", f"{100 * summary['full_model'][metric]:z.1f}", *[""] * len(NAMED_SPEEDUPS)]
