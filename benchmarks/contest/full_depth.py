"""Models without exits in ONNX Runtime: one flat graph of an exported folder's stages, and the usual int8 of it."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from contest.contestants import padded, session_of
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor

from ee_lightning.inference import Sample
from ee_lightning.runtime.manifest import Manifest

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def write_flat(folder: Path, file: Path) -> None:
    """Write the stages of an exported folder as one graph of full depth, with fused operators and the last exit."""
    manifest = Manifest.read(folder)
    nodes, weights, hidden = list[Any](), list[Any](), ""
    stages = [manifest.graphs.embed, *manifest.graphs.layers, manifest.graphs.exits[-1]]
    loaded = [onnx.load(folder / stage) for stage in stages]
    for place, model in enumerate(loaded):
        names = {"": "", "hidden": hidden, "logits": "logits", **{name: name for name in INPUTS}}
        for node in chain.from_iterable(map(_as_exported_usually, model.graph.node)):
            node.name = f"{place}/{node.name}"
            for values in (node.input, node.output):
                values[:] = [names.get(value, f"{place}/{value}") for value in values]
            nodes.append(node)
        for weight in model.graph.initializer:
            weight.name = f"{place}/{weight.name}"
        weights += model.graph.initializer
        hidden = f"{place}/next_hidden"
    graph = helper.make_graph(nodes, "full", list(loaded[0].graph.input), list(loaded[-1].graph.output), weights)
    opsets = {(opset.domain, opset.version): opset for model in loaded for opset in model.opset_import}
    model = helper.make_model(graph, opset_imports=[*opsets.values()], ir_version=loaded[0].ir_version)
    onnx.checker.check_model(model)
    onnx.save(model, file)


def _as_exported_usually(node: Any) -> list[Any]:
    """Return a sum of three as two of two: ONNX Runtime makes its own operator of these and the normalisation."""
    if node.op_type != "Sum" or len(node.input) != 3:
        return [node]
    product, bias, around = node.input
    inner = helper.make_node("Add", [product, bias], [f"{node.output[0]}.biased"], f"{node.name}.biased")
    return [inner, helper.make_node("Add", [inner.output[0], around], list(node.output), node.name)]


def quantise_as_usual(file: Path, quantised: Path) -> None:
    """Quantise a graph by ONNX Runtime's own tool, dynamically, by channel."""
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(file, quantised, per_channel=True, weight_type=QuantType.QInt8, extra_options=options)


def run_alone(file: Path, samples: Sequence[Sample], size: int = 1) -> Tensor:
    """Return the logits of samples, ``[samples, classes]``, in batches of a size."""
    session = session_of(str(file))
    names, said = [each.name for each in session.get_inputs()], []
    rows = [{"input_ids": ids, "token_type_ids": types or [0] * len(ids)} for ids, types in samples]
    for start in range(0, len(rows), size):
        batch = padded(rows[start : start + size])
        said.append(session.run(None, {name: batch[name] for name in names})[0])
    return torch.from_numpy(np.concatenate(said))
