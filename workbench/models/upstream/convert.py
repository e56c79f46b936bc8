"""From an authors' checkpoint file to a model directory in the cache, once.

The directory appears whole, by renaming: `config.json`, `model.safetensors` in the precision of the file, and
`arguments.json` with the training settings that the file carried.
"""

__all__ = ["class_names", "convert", "directory", "directory_of", "parse_name"]

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from workbench import atomic, hub
from workbench.errors import InputError, ModelError
from workbench.lattices.codes.registry import make_code
from workbench.models.generator import Generator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.memory import announce
from workbench.models.names import UPSTREAM
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.upstream.checkpoint import find_state, flat_arguments, read_checkpoint
from workbench.models.upstream.keys import map_weights
from workbench.models.upstream.releases import CODE, REPOSITORY, SCALES, Release, release, tokenizer_settings
from workbench.models.weights import save_weights

_log = logging.getLogger(__name__)
_converting = threading.Lock()  # a second thread finds what the first one wrote


def parse_name(name: str) -> tuple[Release, Path | None]:
    """Split `upstream:NAME` or `upstream:NAME@FILE`; the prefix may be left out.

    Raises:
        ModelError: if NAME is unknown.
    """
    plain, _, file = name.removeprefix(UPSTREAM).partition("@")
    return release(plain), Path(file).expanduser() if file else None


def directory(name: str, kind: str) -> Path:
    """Return the directory of a published model: `upstream:NAME`, or `upstream:NAME@FILE` for an authors' file at hand.

    Args:
        name: The name.
        kind: What it is to be, `tokenizer` or `generator`.

    Raises:
        ModelError: if there is none of that name and kind, or its file cannot be had or used.
    """
    entry, file = parse_name(name)
    if entry.kind == "generator" and kind != "generator":
        raise ModelError(f"{entry.name!r} is a generator, expected a tokenizer, as {entry.tokenizer!r}")
    if entry.kind != "generator" and kind == "generator":
        raise ModelError(f"{entry.name!r} is a tokenizer, expected a generator, as 'infinitycc-12'")
    with _converting:
        return directory_of(entry, file)


def directory_of(entry: Release, file: Path | None = None) -> Path:
    """Return the directory of a converted model, converting it first where that has not been done.

    Args:
        entry: Which model.
        file: The authors' file at hand; None looks in the cache and then asks the hub for it.

    Raises:
        ModelError: if the file cannot be had, read or mapped.
    """
    target = hub.cache_directory() / entry.name
    if file is not None:
        target = target.with_name(f"{entry.name}-{_mark(file)}")
    if (target / "config.json").is_file() and (target / "model.safetensors").is_file():
        return target
    if file is None:
        if entry.file is None:
            raise ModelError(
                f"no weights of {entry.name!r} are published; name a file of yours: {UPSTREAM}{entry.name}@FILE"
            )
        try:
            file = hub.download(REPOSITORY, entry.file)
        except ModelError as error:
            raise ModelError(
                f"{error}; or name the file: {UPSTREAM}{entry.name}@/path/to/{Path(entry.file).name}"
            ) from error
    convert(entry, file, target)
    return target


def convert(entry: Release, file: Path, target: Path, *, settings: Mapping[str, Any] | None = None) -> None:
    """Read an authors' file, check it, and write it as a model directory.

    A generator's file holds its tokenizer as well, which goes into the directory `tokenizer` beside the weights.

    Args:
        entry: What the file is said to hold.
        file: The file.
        target: The directory, which must not exist.
        settings: Numbers of the network that differ from the release's; None for a published model.

    Raises:
        ModelError: if anything in the file is not as expected; then nothing is written.
    """
    loaded = read_checkpoint(file)
    announce(f"converting {file}, once, to {target}", file.stat().st_size, copies=0)
    try:
        with atomic.whole_folder(target) as folder:
            if entry.kind == "generator":
                _write_generator(entry, loaded, file, folder, dict(settings or {}))
            else:
                _write_tokenizer(entry, find_state(loaded, entry.places, file), file, folder, dict(settings or {}))
            arguments = flat_arguments(loaded)
            if arguments:
                lines = "\n".join(f"  {key} = {value}" for key, value in arguments.items())
                _log.warning("%s was trained with these settings, kept in arguments.json:\n%s", entry.name, lines)
            atomic.write_text(folder / "arguments.json", json.dumps(arguments, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ModelError(f"cannot write {target}: {error.strerror}; make room, or set WORKBENCH_CACHE") from error


def _write_tokenizer(
    entry: Release, state: Mapping[str, Tensor], file: Path, target: Path, settings: dict[str, Any]
) -> None:
    kind = GridTokenizer if entry.kind == "vit" else PyramidTokenizer
    try:
        model = kind(**(tokenizer_settings(entry) | settings))
    except InputError as error:
        raise ModelError(f"{file}: these numbers do not describe a tokenizer: {error}") from error
    expected = {key: value for key, value in model.state_dict().items() if key != "quantizer.gains"}
    weights = map_weights(state, entry.table, expected, make_code(CODE), file)
    atomic.write_text(target / "config.json", json.dumps(model.config, indent=2) + "\n")
    save_weights(target / "model.safetensors", weights, dtype=None)


def _write_generator(
    entry: Release, loaded: Mapping[str, Any], file: Path, target: Path, settings: dict[str, Any]
) -> None:
    beneath = release(entry.tokenizer or "")
    config = {
        "trunk": {**entry.trunk, **settings.get("trunk", {})},
        "head": {"kind": "full"},
        "scales": list(SCALES),
        "classes": class_names(),
        "tokenizer": {"name": f"{UPSTREAM}{beneath.name}", "code": CODE},
        "name": entry.name,
    }
    trainer = loaded.get("trainer")
    if isinstance(trainer, Mapping) and trainer.get("vae_local"):
        folder = target / "tokenizer"
        folder.mkdir()
        state = find_state(loaded, (("trainer", "vae_local"),), file)
        _write_tokenizer(beneath, state, file, folder, settings.get("tokenizer", {}))
    expected = Generator.empty(config).state_dict()
    weights = map_weights(find_state(loaded, entry.places, file), entry.table, expected, make_code(CODE), file)
    atomic.write_text(target / "config.json", json.dumps({"kind": "generator", **config}, indent=2) + "\n")
    save_weights(target / "model.safetensors", weights, dtype=None)


def class_names() -> list[str]:
    """Names of the 1,000 classes of ImageNet in their order; a name that stands for two gets its number."""
    from torchvision.models import ResNet50_Weights

    names = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    return [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names)]


def _mark(file: Path) -> str:
    """A mark for a file as it is now: path, size and time of change."""
    try:
        facts = file.stat()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    text = f"{file.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
