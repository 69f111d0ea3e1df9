"""Graphs at work in ONNX Runtime, to calibrate and to check them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from ee_lightning.errors import OptionError, first_line
from ee_lightning.export.fusion import MICROSOFT
from ee_lightning.export.tracing import HIDDEN, IDS, MASK, NEXT, OPSET, TYPES
from ee_lightning.runtime.manifest import Manifest

Arrays = Mapping[str, NDArray[np.generic]]


def session_of(graph: ir.Graph | Path) -> InferenceSession:
    """Load a graph, or one from a file, with as many threads as torch has; raise an OptionError if it can't be."""
    options = SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3
    source: str | bytes = str(graph)
    if isinstance(graph, ir.Graph):
        graph.opset_imports.update({"": OPSET, MICROSOFT: 1})
        source = ir.serde.serialize_model(ir.Model(graph, ir_version=10)).SerializeToString()
    try:
        return InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises kinds of its own
        hint = "install the versions that constraints.txt of ee_lightning names, or run it with the torch engine"
        raise OptionError(f"ONNX Runtime can't load a graph: {first_line(error)}", where="export", hint=hint) from error


class StageSessions:
    """The stages of an exported folder: they run all exits on a batch.

    Args:
        folder: The folder.
        manifest: Its manifest.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        loaded = {
            name: session_of(folder / name)
            for name in dict.fromkeys((manifest.graphs.embed, *manifest.graphs.layers, *manifest.graphs.exits))
        }
        self._embed = loaded[manifest.graphs.embed]
        self._layers = [loaded[name] for name in manifest.graphs.layers]
        files = zip(manifest.exit_layers, manifest.graphs.exits, strict=True)
        self._exits = {layer: loaded[name] for layer, name in files}

    def __call__(self, batch: Arrays) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Return the logits of all exits, ``[exits, batch, classes]``, and their extras, ``[exits, batch]`` each."""
        (hidden,) = run(self._embed, batch, [NEXT])
        said = []
        for number, layer in enumerate(self._layers, start=1):
            (hidden,) = run(layer, {HIDDEN: hidden, MASK: batch[MASK]}, [NEXT])
            if (head := self._exits.get(number)) is not None:
                said.append(run(head, {HIDDEN: hidden, MASK: batch[MASK]}, None))
        logits, *extras = (np.stack(each) for each in zip(*said, strict=True))
        return logits, extras


def run(session: InferenceSession, arrays: Arrays, outputs: list[str] | None) -> list[NDArray[np.float32]]:
    """Run a session on those arrays that it takes; without token types all tokens are of the first sentence."""
    given = {TYPES: np.zeros_like(arrays[IDS]), **arrays} if IDS in arrays else arrays
    return session.run(outputs, {each.name: given[each.name] for each in session.get_inputs()})  # type: ignore[no-any-return]
