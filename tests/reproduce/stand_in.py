"""What stands in for ``fit`` where its results don't matter: ``python stand_in.py TEMPLATE --NAME=VALUE …``.

It makes a run folder as ``fit`` does, and ends as ``--act`` says, after ``--seconds``.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path


def fit(template: Path, options: dict[str, str]) -> int:
    folder = Path(options["run.root"], options["run.name"], "version_0")
    act = options.get("act", "finish")
    if (folder / "checkpoints" / "last.ckpt").exists():
        print(f"going on from {options['ckpt_path']}", flush=True)
        act = "finish"
    else:
        (folder / "config.yaml").write_text("model: {backbone: begun/with}\n")
        (folder / "checkpoints" / "last.ckpt").touch()
    time.sleep(float(options.get("seconds", 0)))
    if act == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "say nothing":
        return 1
    if act == "fail":
        print("error: it fails\n  hint:  don't", file=sys.stderr)
        return 1
    if act == "finish":
        for file in sorted(template.rglob("*"), key=lambda file: file.name == "summary.json"):
            if file.is_file():
                place = folder / file.relative_to(template)
                place.parent.mkdir(exist_ok=True)
                shutil.copy(file, place)
    print("trained")
    return 0


if __name__ == "__main__":
    sys.exit(fit(Path(sys.argv[1]), dict(argument[2:].split("=", 1) for argument in sys.argv[2:])))
