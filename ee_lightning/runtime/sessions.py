"""The graphs of an exported folder, loaded when they are first run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ee_lightning.errors import OptionError, RunFolderError, first_line
from ee_lightning.extras import telling_missing
from ee_lightning.runtime.manifest import AGAIN

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Loaded(NamedTuple):
    """A graph and what it takes."""

    session: "InferenceSession"
    inputs: tuple[str, ...]


class Sessions:
    """Runs graphs in ONNX Runtime, for any number of threads; copies share what is loaded, and pickles load it again.

    Args:
        folder: The folder of the graphs.
        threads: Number of threads that share an operation; None leaves it to ONNX Runtime.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(self, folder: Path, threads: int | None) -> None:
        with telling_missing():
            import onnxruntime  # noqa: F401
        self._folder, self._threads = folder, threads
        self._loaded, self._lock = dict[str, Loaded](), Lock()

    def run(self, file: str, outputs: Sequence[str] | None, arrays: Mapping[str, Any]) -> list[Any]:
        """Run a graph on those arrays that it takes.

        Raises:
            OptionError: The installed ONNX Runtime can't load it.
            RunFolderError: It can't be run.
        """
        loaded = self._loaded.get(file) or self._load(file)
        try:
            return loaded.session.run(outputs, {name: arrays[name] for name in loaded.inputs})  # type: ignore[no-any-return]
        except Exception as error:  # onnxruntime raises kinds of its own
            what = f"ONNX Runtime can't run a graph: {first_line(error)}"
            raise RunFolderError(what, where=self._folder / file, hint=AGAIN) from error

    def _load(self, file: str) -> Loaded:
        from onnxruntime import InferenceSession, SessionOptions

        with self._lock:
            if file not in self._loaded:
                options = SessionOptions()
                options.log_severity_level = 3
                options.enable_mem_pattern = False  # which keeps memory for every length it has met, and gains nothing
                # Every graph has threads of its own; while they spin, waiting for more, they take cores from the next.
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")
                if self._threads is not None:
                    options.intra_op_num_threads = self._threads
                path = str(self._folder / file)
                try:
                    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
                except Exception as error:  # onnxruntime raises kinds of its own
                    hint = "install the version of onnxruntime that the manifest names, or a later one"
                    what = f"ONNX Runtime can't load a graph: {first_line(error)}"
                    raise OptionError(what, where=path, hint=hint) from error
                self._loaded[file] = Loaded(session, tuple(each.name for each in session.get_inputs()))
            return self._loaded[file]

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_threads": self._threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _loaded={}, _lock=Lock())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
