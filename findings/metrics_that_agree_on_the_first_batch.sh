#!/usr/bin/env bash
# Guess: metrics in one MetricCollection of torchmetrics give what each of them would give alone. Work is shared only by
#   metrics that have the same state by definition, such as precision and recall.
# Really: metrics share a state for good where their states happen to be equal after the first batch. If no row of that
#   batch lies between two thresholds, or has the class that one of them ignores, one gives the figure of the other
#   from then on. So the result depends on the order of the batches. compute_groups=False computes them apart.
# Version: torchmetrics 1.9.0, torch 2.13.0
# Seen: accuracy at .5 and at .9: 0.625 and 0.625; the second batch first: 0.375 and 0.625; apart: 0.375 and 0.625
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
seen=$("$folder/venv/bin/python" - <<'PY'
from torch import tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy

certain = tensor([0.95, 0.97, 0.02, 0.01]), tensor([1, 0, 0, 1])
between = tensor([0.7, 0.8, 0.6, 0.7]), tensor([0, 0, 1, 0])


def accuracies(*batches, **options):
    thresholds = {"low": BinaryAccuracy(threshold=0.5), "high": BinaryAccuracy(threshold=0.9)}
    metrics = MetricCollection(thresholds, **options)
    for batch in batches:
        metrics.update(*batch)
    return "{low:.3f} and {high:.3f}".format(**metrics.compute())


print(f"accuracy at .5 and at .9: {accuracies(certain, between)}; ", end="")
print(f"the second batch first: {accuracies(between, certain)}; ", end="")
print(f"apart: {accuracies(certain, between, compute_groups=False)}")
PY
)
echo "$seen"
[[ $seen == "accuracy at .5 and at .9: 0.625 and 0.625; the second batch first: 0.375 and 0.625; apart: 0.375 and 0.625" ]]
