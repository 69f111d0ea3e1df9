#!/usr/bin/env bash
# Guess: a model with an early exit by torch.cond goes to ExecuTorch's XNNPACK backend like one without: the layers after
#   the exit run on the fast kernels too, and only when a row needs them.
# Really: to_edge_transform_and_lower, the call that its documentation recommends, ends with an error, as the Linear layers
#   of the branch are neither decomposed nor delegated. The deprecated pair of to_edge and to_backend makes a program, but
#   delegates the main graph alone: the layers of the branch run on the portable reference kernels. With layers of 256 and
#   eight rows, rows that went on took 1.43 ms, and all three layers without the exit 0.06 ms (one run, not checked below).
# Version: executorch 1.5.1, torch 2.13.0
# Seen: the first call raises RuntimeError ("was not decomposed or delegated"); the second delegates 1 of 3 Linear layers,
#   and leaves 2 addmm in the branch
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install executorch==1.5.1 torch==2.13.0
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>log <<'PY'
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge, to_edge_transform_and_lower


class Exits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (torch.nn.Linear(64, 64) for _ in range(3))

    def forward(self, rows):
        early = self.first(rows)
        return torch.cond(early.amax() > 1.5, self.leave, self.go_on, (early,))

    def leave(self, early):
        return early.clone()

    def go_on(self, early):
        return self.third(torch.relu(self.second(early)))


def count(program):
    graphs = [module for module in program.exported_program().graph_module.modules() if hasattr(module, "graph")]
    names = [str(node.target) for graph in graphs for node in graph.graph.nodes if node.op == "call_function"]
    return sum("executorch_call_delegate" in name for name in names), sum("addmm" in name for name in names)


rows = (torch.ones(8, 64),)
plain = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(3))).eval()
whole = to_edge_transform_and_lower(torch.export.export(plain, rows), partitioner=[XnnpackPartitioner()])
print("without an exit: %d delegate, %d addmm left" % count(whole))
exits = torch.export.export(Exits().eval(), rows)
try:
    to_edge_transform_and_lower(exits, partitioner=[XnnpackPartitioner()])
    print("recommended call: works")
except RuntimeError as error:
    print("recommended call:", "not delegated" if "was not decomposed or delegated" in str(error) else error)
print("deprecated call: %d delegate, %d addmm left" % count(to_edge(exits).to_backend(XnnpackPartitioner())))
PY
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "without an exit: 1 delegate, 0 addmm left
recommended call: not delegated
deprecated call: 1 delegate, 2 addmm left" ]]
