"""Graphs on the disk, with the weights of all of them once, beside them."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from ee_lightning.export.fusion import MICROSOFT
from ee_lightning.export.tracing import OPSET
from ee_lightning.runtime.manifest import WEIGHTS

_IR_VERSION = 10
_SMALL = 1024
_PAGE = 4096


class GraphFiles:
    """Writes graphs into a folder; weights of more than a kilobyte go into one file, and equal ones only once.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = dict[str, tuple[int, int]]()
        self._written = dict[bytes, str]()
        self._weights = (folder / WEIGHTS).open("wb")

    def __enter__(self) -> "GraphFiles":
        return self

    def __exit__(self, *_: object) -> None:
        self._weights.close()

    def flush(self) -> None:
        """Have all weights in their file."""
        self._weights.flush()

    def write(self, graph: ir.Graph, name: str) -> str:
        """Write a graph under a name, and return it, or the name of the same graph written before."""
        for value in _weights(graph):
            self._put_aside(value)
        graph.opset_imports.update({"": OPSET, MICROSOFT: 1})
        graph.name = "graph"  # the same for graphs that are alike
        model = ir.Model(graph, ir_version=_IR_VERSION)
        ClearMetadataAndDocStringPass()(model)
        serialised = ir.serde.serialize_model(model).SerializeToString(deterministic=True)
        if serialised not in self._written:
            self._written[serialised] = name
            (self._folder / name).write_bytes(serialised)
        return self._written[serialised]

    def _put_aside(self, value: ir.Value) -> None:
        tensor = value.const_value
        if tensor is None or isinstance(tensor, ir.ExternalTensor) or tensor.nbytes <= _SMALL:
            return
        data = tensor.tobytes()
        key = f"{tensor.dtype} {sha256(data).hexdigest()}"
        if key not in self._places:
            start = -(-self._weights.tell() // _PAGE) * _PAGE
            self._weights.seek(start)
            self._weights.write(data)
            self._places[key] = start, len(data)
        start, size = self._places[key]
        shape = ir.Shape(tensor.numpy().shape)
        value.const_value = ir.ExternalTensor(
            WEIGHTS, start, size, tensor.dtype, shape=shape, name=str(value.name), base_dir=self._folder
        )


def _weights(graph: ir.Graph) -> Iterator[ir.Value]:
    """Return the weights of a graph and of its branches."""
    yield from graph.initializers.values()
    for branch in graph.subgraphs():
        yield from branch.initializers.values()
