#!/usr/bin/env bash
# Guess: Lightning's MLFlowLogger logs with its defaults wherever a version of MLflow is installed that Lightning takes.
# Really: MLflow refuses the folder ./mlruns, Lightning's default, and advises SQLite, which mlflow-skinny, the small package
#   that Lightning takes too, calls unsupported. The default works with a variable of the environment.
# Version: lightning 2.6.6, mlflow-skinny 3.17.2
# Seen: default: MlflowException | sqlite: UnsupportedModelRegistryStoreURIException | allowed: logged
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install torch==2.13.0 lightning==2.6.6 mlflow-skinny==3.17.2
cd "$folder"
seen=$("$folder/venv/bin/python" - 2> /dev/null <<'PY'
import os

from lightning.pytorch.loggers import MLFlowLogger


def told(**options):
    try:
        MLFlowLogger("runs", **options).log_metrics({"loss": 1.0}, 0)
    except Exception as error:
        return type(error).__name__
    return "logged"


said = [f"default: {told()}", f"sqlite: {told(tracking_uri='sqlite:///runs.db')}"]
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
print(" | ".join([*said, f"allowed: {told()}"]))
PY
)
echo "$seen"
[[ $seen == "default: MlflowException | sqlite: UnsupportedModelRegistryStoreURIException | allowed: logged" ]]
