"""The logger for Trackio, whose dashboard runs on this machine."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.logger import _convert_params, _flatten_dict, _sanitize_params
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from ee_lightning.analysis.sweep import Sweep
from ee_lightning.errors import OptionError
from ee_lightning.files import read_json, reading, typed
from ee_lightning.runs.folder import RunFolder
from ee_lightning.tracking.tables import Rows, tables_of, tables_of_epoch


@dataclass(frozen=True)
class _Record:
    name: str


class TrackioLogger(Logger):
    """Logs metrics, the tables of every sweep and the picture of the curves to Trackio, in files on this machine.

    ``trackio show --project PROJECT`` opens the dashboard.

    Args:
        project: The project.
        name: The name of the run; None takes that of the run folder, NAME/version_N, and the time when it began, as
            Trackio keeps the runs of all folders together, and goes on with one of the same name.
        **options: Options of ``trackio.init``, such as ``group`` or ``auto_log_cpu``.

    Raises:
        OptionError: The package trackio is not installed.
    """

    def __init__(self, project: str = "ee_lightning", name: str | None = None, **options: Any) -> None:
        super().__init__()
        try:
            import trackio
        except ImportError as error:
            raise OptionError("trackio is not installed", where="TrackioLogger", hint="pip install trackio") from error
        self._trackio, self._project, self.run_name, self._options = trackio, project, name, options
        self._run: Any = None
        self._folder: RunFolder | None = None

    @property
    @override
    def name(self) -> str:
        return self._project

    @property
    @override
    def version(self) -> str | None:
        return self.run_name

    def enter(self, folder: RunFolder) -> None:
        """Set the run folder, whose picture is logged, and whose Trackio run goes on if there is one."""
        self._folder = folder

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._log(dict(metrics), step)

    @override
    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any) -> None:
        self._options["config"] = _sanitize_params(_flatten_dict(_convert_params(params)))

    @rank_zero_only
    def take_sweep(self, found: Sweep) -> None:
        """Log the tables of a sweep, and after an evaluation its figures and the run folder's picture too."""
        if found.epoch is not None:
            self._log(self._tables(tables_of_epoch(found)), found.step)
            return
        picture = None if self._folder is None else self._folder.curves_picture
        pictures = {f"{found.stage}/curves_picture": self._trackio.Image(str(picture))} if _is_there(picture) else {}
        self._log({**found.scalars(), **self._tables(tables_of(found)), **pictures}, found.step)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._run is not None:
            self._trackio.finish()
            self._run = None

    def _tables(self, tables: Mapping[str, Rows]) -> dict[str, Any]:
        return {name: self._trackio.Table(columns=[*rows.columns], data=[*rows.data]) for name, rows in tables.items()}

    def _log(self, logged: dict[str, Any], step: int | None) -> None:
        if self._run is None:  # at first, or again after a part of the run that was finished
            self.run_name = self.run_name or self._name_of_folder()
            options = {"name": self.run_name, "resume": "allow", **self._options}
            self._run = self._trackio.init(project=self._project, **options)
            self.run_name = self._run.name  # which Trackio gives where there is no run folder
        self._run.log(logged, step=step)

    def _name_of_folder(self) -> str | None:
        """Return the name that the run folder's record has, or a new one, which is recorded."""
        if self._folder is None:
            return None
        file, path = self._folder.trackio, self._folder.path
        with reading(file, hint="delete it; a Trackio run of its own then begins where this run goes on"):
            if file.is_file():
                return typed(_Record, read_json(file)).name
        record = _Record(f"{path.parent.name}/{path.name} {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}")
        path.mkdir(parents=True, exist_ok=True)
        self._folder.write_json(file.name, asdict(record))
        return record.name


def _is_there(picture: Path | None) -> bool:
    return picture is not None and picture.is_file()
