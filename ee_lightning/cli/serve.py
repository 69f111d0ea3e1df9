"""``ee-lightning serve``: a model behind HTTP."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ee_lightning.cli.command import Adapter, Device, File, LayersOfExits, Number, Samples, Threads
from ee_lightning.errors import OptionError
from ee_lightning.extras import require_extra
from ee_lightning.files import reading
from ee_lightning.runtime.loading import is_exported, load_predictor

Port = Annotated[int, Field(ge=1024, le=65535), "PORT"]
Seconds = Annotated[float, Field(gt=0, le=86_400), "SECONDS"]


def serve(
    model: Annotated[str, "MODEL"],
    *,
    port: Port = 8000,
    host: Literal["127.0.0.1", "0.0.0.0", "::"] = "127.0.0.1",
    criterion: str | None = None,
    threshold: Number | None = None,
    exits: LayersOfExits | None = None,
    device: Device = "auto",
    threads: Threads | None = None,
    workers: Threads = 1,
    api_key: File | None = None,
    admin_key: File | None = None,
    max_body: Samples = 4_000_000,
    max_texts: Samples = 256,
    max_characters: Samples = 20_000,
    max_waiting: Samples = 1_000,
    timeout: Seconds = 30.0,
    adapter: Adapter | None = None,
) -> None:
    """Answer POST /predict with labels, for many clients at once.

    An exported model needs no torch. With Ctrl+C or SIGTERM it answers the requests that it has, and stops.

    Args:
        model: A run folder, or what save or export wrote: its folder, or its name on the hub.
        port: Where to listen, from 1024.
        host: 127.0.0.1 for this machine alone, 0.0.0.0 or :: for every address.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (left out: those of the operating point).
        threshold: In the criterion's unit; with inf no text leaves early.
        exits: Use only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point).
        device: Where to run.
        threads: Threads that share an operation on the CPU (left out: as the library chooses).
        workers: Processes that run the model, each with a copy of it.
        api_key: A file with the key that clients send as X-API-Key (the variable EE_LIGHTNING_API_KEY).
        admin_key: A file with the key for changing the threshold (the variable EE_LIGHTNING_ADMIN_KEY).
        max_body: The most bytes of a request.
        max_texts: The most texts of a request.
        max_characters: The most characters of a text.
        max_waiting: The most texts that wait for their answer; more get the status 503.
        timeout: The most seconds that a request waits.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    require_extra("serve")
    from ee_lightning.serving.gate import Keys
    from ee_lightning.serving.limits import Limits
    from ee_lightning.serving.server import check_free
    from ee_lightning.serving.server import serve as serve_until_stopped

    keys = Keys(_key(api_key, "EE_LIGHTNING_API_KEY"), _key(admin_key, "EE_LIGHTNING_ADMIN_KEY"))
    check_free(host, port)
    load = partial(load_predictor, model, criterion, threshold, exits, threads=threads, adapter=adapter)
    checked = load(device=device if is_exported(model) else "cpu")  # so that a mistake shows before anything starts
    deployment, layers_of_exits = checked.deployment, checked.layers_of_exits
    del checked
    serve_until_stopped(
        partial(load, device=device),
        deployment,
        layers_of_exits,
        host=host,
        port=port,
        workers=workers,
        limits=Limits(body=max_body, texts=max_texts, characters=max_characters, waiting=max_waiting, seconds=timeout),
        keys=keys,
    )


def _key(file: Path | None, variable: str) -> str | None:
    """Return the key in a file, or in an environment variable; one that is empty opens no server by mistake."""
    given = os.environ.get(variable)
    if file is not None:
        with reading(file, hint="write the key into it, on one line"):
            given = file.read_text(encoding="utf-8")
    if given is None:
        return None
    key, where = given.strip(), file or variable
    if not key:
        hint = "write the key there, or leave it out, and unset the variable, to serve without one"
        raise OptionError("the key is empty", where=where, hint=hint)
    if not (key.isascii() and key.isprintable()):
        what = "no client can send this key in a header: it has other characters than those of ASCII on one line"
        raise OptionError(what, where=where, hint="take letters, digits and signs of ASCII")
    return key
