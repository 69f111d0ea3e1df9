"""A suite's report as a single page."""

import base64
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ee_lightning.reproduce.report import wording
from ee_lightning.reproduce.report.tables import tests, title_of_tests
from ee_lightning.reproduce.results.cells import Results
from ee_lightning.reproduce.results.comparison import Comparison
from ee_lightning.reproduce.results.evaluation import Evaluation
from ee_lightning.reproduce.results.stored_run import VARIANTS

_PACKAGES = ("ee_lightning", "torch", "lightning", "transformers", "datasets", "numpy")


def as_page(
    found: Evaluation,
    results: Results,
    comparisons: Sequence[Comparison],
    verdict: str,
    notes: Sequence[str],
    settings: pd.DataFrame,
    pictures: Mapping[str, bytes],
) -> str:
    """Write a page that holds everything, pictures included, and runs nothing.

    Args:
        found: What was found.
        results: The cells.
        comparisons: The tests.
        verdict: What the data say.
        notes: The footnotes.
        settings: What the trainings were run with.
        pictures: PNG files, by task.
    """
    environment = Environment(
        loader=PackageLoader("ee_lightning.reproduce.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    suite = results.suite
    planned = len(suite.tasks) * len(suite.seeds) * len({row.training for row in suite.rows})
    return environment.get_template("report.html.jinja").render(
        suite=suite,
        results=results,
        variants=VARIANTS,
        wording=wording,
        verdict=verdict,
        finished=len(found.runs),
        planned=planned,
        tests=tests(results, comparisons) if comparisons else None,
        title_of_tests=title_of_tests(comparisons) if comparisons else "",
        pictures={task: base64.b64encode(picture).decode() for task, picture in pictures.items()},
        settings=settings,
        notes=notes,
        runs={key: run.folder.path for key, run in found.runs.items()},
        versions={package: version(package) for package in _PACKAGES},
    )
