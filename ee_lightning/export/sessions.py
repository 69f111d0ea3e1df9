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
from ee_lightning.export.tracing import IDS, OPSET, TYPES

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


def run(session: InferenceSession, arrays: Arrays, outputs: list[str] | None) -> list[NDArray[np.float32]]:
    """Run a session on those arrays that it takes; without token types all tokens are of the first sentence."""
    given = {TYPES: np.zeros_like(arrays[IDS]), **arrays} if IDS in arrays else arrays
    return session.run(outputs, {each.name: given[each.name] for each in session.get_inputs()})  # type: ignore[no-any-return]
