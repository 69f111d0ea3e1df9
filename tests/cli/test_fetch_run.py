"""Run folders as artifacts of W&B and back, by the real wandb 0.31 and the calls that `wandb_artifacts` answers."""

import json
import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from shutil import copytree
from signal import SIGKILL
from threading import Event
from time import monotonic, sleep

import pytest
import wandb
from forked import Command
from wandb.sdk.lib import wbauth
from wandb_artifacts import MANIFEST, ServedArtifact
from wandb_service import ENTITY, ServedRun, WandbService

from ee_lightning.cli import main
from ee_lightning.runs.folder import RunFolder
from ee_lightning.tracking import artifacts as fetching

REPOSITORY = Path(__file__).parents[2]
WANDB = REPOSITORY / "configs" / "trainer" / "wandb.yaml"
LOG_MODEL = {"trainer.logger.init_args.log_model": "true"}
FOLDER = Path("runs/run/version_0")
PROJECT = f"{ENTITY}/ee_lightning"

Serve = Callable[..., ServedArtifact]


@pytest.fixture
def account(service: WandbService) -> Iterator[WandbService]:
    """Let this process use the service, after it may have used another."""
    _forget()
    yield service
    _forget()


@pytest.fixture
def serve(account: WandbService) -> Serve:
    """Return a function that puts an artifact of given files on the service; other fields may be given too."""

    def _serve(files: dict[str, bytes], **fields: object) -> ServedArtifact:
        number = len(account.artifacts.versions)
        place = json.dumps({"run_folder": "run/version_0"})
        given = {"id": str(number), "entity": ENTITY, "project": "ee_lightning", "collection": "run_folder-some"}
        given |= {"version": number, "type": "run_folder", "run": "some", "digest": "0", "metadata": place, **fields}
        contents = {name: {"digest": _digest(content), "size": len(content)} for name, content in files.items()}
        policy = {"storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}
        manifest = json.dumps({"version": 1, **policy, "contents": contents}).encode()
        artifact = ServedArtifact(**given, content={**files, MANIFEST: manifest}, is_committed=True)
        account.artifacts.versions.append(artifact)
        account.runs["some"] = ServedRun("some")
        return artifact

    return _serve


def _forget() -> None:
    wandb.teardown()
    wbauth.unauthenticate_session(update_settings=False)


def _digest(content: bytes) -> str:
    return b64encode(md5(content, usedforsecurity=False).digest()).decode()


def _files(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _run_folders(service: WandbService) -> list[ServedArtifact]:
    return [version for version in service.artifacts.versions if version.type == "run_folder"]


def _nothing_is_left() -> bool:
    return not any(path.is_file() or path.name.startswith(".") for path in Path("runs").rglob("*"))


def test_a_run_folder_comes_back_and_works_as_before(
    account: WandbService,
    run: Callable[..., int],
    small: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("fit", WANDB, **small, **LOG_MODEL) == 0
    (logged,) = _run_folders(account)
    original = _files(FOLDER)
    assert logged.files == {name: content for name, content in original.items() if name != "checkpoints/last.ckpt"}
    assert {"config.yaml", "metrics.csv", "summary.json", "exits/validation.safetensors"} < logged.files.keys()
    assert [name for name in logged.files if name.startswith("checkpoints/")] == [
        RunFolder(FOLDER).read_figures("validation")["checkpoint"]
    ]
    assert not list(Path("runs/wandb").rglob("run_folder-*"))  # of which all was uploaded
    assert f"run_folder-{logged.run}" == logged.collection

    Path("runs").rename("of-another-machine")
    there, here = Path("of-another-machine/run/version_0"), FOLDER
    assert main(["fetch-run", f"{PROJECT}/{logged.run}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"run folder: {here}"
    assert _files(here) == logged.files
    assert main(["fetch-run", f"{PROJECT}/{logged.run}"]) == 1
    assert "there is such a folder already" in capsys.readouterr().err

    Path("texts.txt").write_text("a lovely film\na dull plot\n")
    for folder in (there, here):
        assert main(["curves", str(folder), "--criteria", "patience"]) == 0
        budget = ["--criterion", "patience", "--min-speedup", "1.2"]
        assert main(["choose", str(folder), *budget, *(["--wandb"] if folder == here else [])]) == 0
        assert main(["predict", str(folder), "--input", "texts.txt", "--output", f"{folder}/labels.csv"]) == 0
    expected = _files(there)
    del expected["checkpoints/last.ckpt"]
    assert _files(here) == expected
    capsys.readouterr()
    assert run("fit", WANDB, **small, ckpt_path="last") == 0
    assert "this run is finished" in capsys.readouterr().out

    _, chosen = _run_folders(account)
    assert (chosen.collection, chosen.version, chosen.run == logged.run) == (logged.collection, 1, False)
    assert account.runs[chosen.run].config["choose"]["criterion"] == "patience"
    assert main(["fetch-run", f"{PROJECT}/{logged.run}", "--root", "latest"]) == 0
    assert main(["fetch-run", f"{PROJECT}/{logged.collection}:v0", "--root", "first"]) == 0
    latest, first = (_files(Path(root, "run/version_0")) for root in ("latest", "first"))
    assert latest["operating_point.json"] == expected["operating_point.json"]
    assert first == logged.files
    assert "operating_point.json" not in first


def test_an_offline_run_holds_its_folder_for_wandb_sync(
    account: WandbService,
    run: Callable[..., int],
    small: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert run("fit", WANDB, **small, **LOG_MODEL) == 0
    (offline,) = Path("runs/wandb").glob("offline-run-*")
    (kept,) = offline.glob("run_folder-*")
    original = _files(FOLDER)
    del original["checkpoints/last.ckpt"]
    assert _files(kept) == original
    checkpoint = RunFolder(FOLDER).read_figures("validation")["checkpoint"]
    assert (kept / checkpoint).samefile(FOLDER / checkpoint)  # which takes no space
    assert main(["curves", str(FOLDER), "--criteria", "patience"]) == 0
    assert _files(kept) == original != _files(FOLDER)
    assert not account.artifacts.versions

    monkeypatch.delenv("WANDB_MODE")
    wandb.teardown()
    sync = [sys.executable, "-m", "wandb", "sync", str(offline)]
    subprocess.run(sync, check=True, timeout=300, stdin=subprocess.DEVNULL)
    (logged,) = _run_folders(account)
    assert main(["fetch-run", f"{PROJECT}/{logged.run}", "--root", "fetched"]) == 0
    assert _files(Path("fetched/run/version_0")) == original


def test_hidden_files_code_and_other_checkpoints_stay_here(account: WandbService, trained: Callable[..., Path]) -> None:
    copytree(trained("sst2"), FOLDER)
    for name in (".lock", "snapshot.py", "checkpoints/other.ckpt"):
        (FOLDER / name).write_text("")
    assert main(["choose", str(FOLDER), "--criterion", "voting", "--min-speedup", "1.2", "--wandb"]) == 0
    (logged,) = _run_folders(account)
    checkpoint = RunFolder(FOLDER).read_figures("validation")["checkpoint"]
    assert {name for name in logged.files if name.startswith("checkpoints/")} == {checkpoint}
    assert not logged.files.keys() & {".lock", "snapshot.py"}
    assert logged.run == json.loads((FOLDER / "wandb.json").read_text())["run"]
    assert main(["fetch-run", f"{PROJECT}/{logged.run}", "--root", "fetched"]) == 0
    (fetched,) = Path("fetched").glob("sst2-*/version_0")  # which its configuration names
    assert _files(fetched) == logged.files


def test_a_refused_artifact_is_told_and_the_rest_is_logged(
    account: WandbService,
    trained: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    del account.artifacts.answers["CreateArtifact"], account.answers["CreateArtifact"]
    copytree(trained("sst2"), FOLDER)
    assert main(["choose", str(FOLDER), "--criterion", "voting", "--min-speedup", "1.2", "--wandb"]) == 0
    assert re.search(r"W&B: the run folder is not there as an artifact, .*not answered", capsys.readouterr().err)
    (found,) = account.runs.values()
    assert found.exit_code == 0
    assert found.config["choose"]["criterion"] == "voting"


def test_disabled_logs_nothing(trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    _forget()
    copytree(trained("sst2"), FOLDER)
    assert main(["choose", str(FOLDER), "--criterion", "voting", "--min-speedup", "1.2", "--wandb"]) == 0
    assert not (FOLDER / "wandb.json").exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("some", r"'some' names no run of W&B[\s\S]*hint:.*ENTITY/PROJECT/RUN"),
        (f"{PROJECT}/nowhere", r"no such run: Could not find run[\s\S]*hint:.*wandb login"),
        (f"{PROJECT}/some", r"no run folder of this name.*not found[\s\S]*hint:.*log_model true"),
        (f"{PROJECT}/run_folder-other:v3", r"no run folder of this name"),
        (f"{PROJECT}/data:v0", r"of the type dataset, is no run folder"),
    ],
)
def test_what_is_no_run_folder_is_refused(
    serve: Serve, address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({"rows.csv": b"1"}, collection="data", version=0, type="dataset")
    assert main(["fetch-run", address]) == 1
    assert re.search(said, capsys.readouterr().err)
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["../summary.json", "/tmp/summary.json", "exits/../../x", "a\\..\\..\\x", "C:x", ".."])
def test_names_that_lead_elsewhere_are_refused(serve: Serve, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve({"config.yaml": b"{}", name: b"{}"})
    serve({"config.yaml": b"{}"}, collection="run_folder-other", metadata=json.dumps({"run_folder": name}))
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert main(["fetch-run", f"{PROJECT}/run_folder-other"]) == 1
    printed = capsys.readouterr().err
    assert "leads out of the run folder" in printed or "Invalid artifact path" in printed
    assert "is no run folder" in printed
    assert _nothing_is_left()


@pytest.mark.parametrize("name", ["criterion.py", "exits/criterion.PY", "criterion.so"])
def test_code_is_refused(serve: Serve, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve({"config.yaml": b"{}", name: b"raise SystemExit"})
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert f"{name} is code, which is not allowed" in capsys.readouterr().err
    assert _nothing_is_left()


@pytest.mark.parametrize("name", [".bashrc", "exits/.hidden/x", "a\\.b"])
def test_hidden_names_are_refused(serve: Serve, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    serve({"config.yaml": b"{}", name: b"{}"})
    serve({"config.yaml": b"{}"}, collection="run_folder-other", metadata=json.dumps({"run_folder": name}))
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert main(["fetch-run", f"{PROJECT}/run_folder-other"]) == 1
    printed = capsys.readouterr().err
    assert f"{name} is hidden, which is not allowed" in printed or "Invalid artifact path" in printed
    assert "is no run folder" in printed
    assert _nothing_is_left()


def test_references_are_refused(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    secret = Path("secret").absolute()
    secret.write_text("of this machine")
    artifact = serve({"config.yaml": b"{}", "summary.json": b"{}"})
    manifest = artifact.manifest
    manifest["contents"]["summary.json"] |= {"ref": secret.as_uri(), "digest": _digest(secret.read_bytes())}
    artifact.content[MANIFEST] = json.dumps(manifest).encode()
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert f"{secret.as_uri()} leads out of the run folder" in capsys.readouterr().err
    assert _nothing_is_left()


def test_damaged_files_are_refused(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = serve({"config.yaml": b"{}", "summary.json": b"{ }"})
    artifact.content["summary.json"] = b"[ ]"
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert re.search(r"Digest mismatch[\s\S]*hint:.*empty wandb's cache", capsys.readouterr().err)
    assert _nothing_is_left()


def test_a_killed_download_leaves_no_run_folder(
    serve: Serve, account: WandbService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({"config.yaml": b"{}", "summary.json": b"{}", "checkpoints/best.ckpt": b"1", "slow": b"2"})
    is_over, download = Event(), WandbService.download_of_artifact

    def hang(self: WandbService, address: str) -> bytes:
        if address.endswith("slow"):
            is_over.wait(120)
        return download(self, address)

    monkeypatch.setattr(WandbService, "download_of_artifact", hang)
    fetching_process = Command("fetch-run", f"{PROJECT}/some")
    while not all(list(Path("runs").rglob(name)) for name in ("config.yaml", "summary.json", "best.ckpt")):
        assert fetching_process.is_alive(), fetching_process.printed
        sleep(0.1)
    fetching_process.send(SIGKILL)
    assert fetching_process.ends() == -SIGKILL
    is_over.set()
    assert not FOLDER.exists()
    assert main(["tables", "runs"]) == 1
    assert "no finished training run" in capsys.readouterr().err
    assert main(["fetch-run", f"{PROJECT}/some"]) == 0
    assert _files(FOLDER).keys() == {"config.yaml", "summary.json", "checkpoints/best.ckpt", "slow"}


def test_a_download_that_stalls_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({"config.yaml": b"{}"})
    is_over = Event()
    monkeypatch.setattr(WandbService, "download_of_artifact", lambda *_: is_over.wait(120) and b"")
    monkeypatch.setattr(fetching, "_PATIENCE", 1)
    began = monotonic()
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    is_over.set()
    assert monotonic() - began < 60
    assert "the run folder can't be fetched" in capsys.readouterr().err
    assert _nothing_is_left()


def test_without_an_account_nothing_is_fetched(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({"config.yaml": b"{}"})
    monkeypatch.delenv("WANDB_API_KEY")
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert re.search(r"no account of W&B on this machine[\s\S]*hint:.*wandb login", capsys.readouterr().err)


def test_a_service_that_is_silent_is_given_up(
    account: WandbService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetching, "_PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        began = monotonic()
        assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    assert monotonic() - began < 30
    assert "can't be reached" in capsys.readouterr().err


@pytest.mark.parametrize("operation", ["Viewer", "Run", "ArtifactMembershipByName", "FetchArtifactManifest"])
def test_a_service_that_stops_to_answer_is_given_up(
    serve: Serve, operation: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve({"config.yaml": b"{}"})
    is_over, answer = Event(), WandbService.graphql

    def hang(self: WandbService, query: str, variables: dict[str, object]) -> dict[str, object]:
        if re.search(rf"\b{operation}\b", query.partition("{")[0]):
            is_over.wait(120)
        return answer(self, query, variables)

    monkeypatch.setattr(WandbService, "graphql", hang)
    monkeypatch.setattr(fetching, "_PATIENCE", 1)
    began = monotonic()
    assert main(["fetch-run", f"{PROJECT}/some"]) == 1
    is_over.set()
    assert monotonic() - began < 60
    assert "hint:" in capsys.readouterr().err
    assert _nothing_is_left()


def test_a_machine_that_logs_offline_can_fetch(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({"config.yaml": b"{}"})
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["fetch-run", f"{PROJECT}/some"]) == 0
    assert _files(FOLDER) == {"config.yaml": b"{}"}
