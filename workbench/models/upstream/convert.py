"""From an authors' checkpoint file to a model directory in the cache, once.

The directory appears whole, by renaming: `config.json`, `model.safetensors` in the precision of the file, and
`arguments.json` with the training settings that the file carried.
"""

__all__ = ["PREFIX", "announce", "build_generator", "class_names", "convert", "directory_of", "parse_name"]

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench import atomic, hub
from workbench.errors import InputError, ModelError
from workbench.lattices.codes.registry import make_code
from workbench.models.generator import Generator
from workbench.models.memory import free_memory
from workbench.models.multiscale_tokenizer import MultiScaleTokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.models.transformer import Rotation
from workbench.models.upstream.checkpoint import find_state, flat_arguments, read_checkpoint
from workbench.models.upstream.keys import map_weights
from workbench.models.upstream.releases import CODE, REPOSITORY, SCALES, Release, release, tokenizer_settings
from workbench.models.weights import save_weights

PREFIX = "upstream:"
_BIG = 200_000_000  # bytes from which a load is announced
_BYTES_A_SECOND = 5e8  # a disk of no great speed, and checking every number

_log = logging.getLogger(__name__)


def parse_name(name: str) -> tuple[Release, Path | None]:
    """Split `upstream:NAME` or `upstream:NAME@FILE`; the prefix may be left out.

    Raises:
        ModelError: if NAME is unknown.
    """
    plain, _, file = name.removeprefix(PREFIX).partition("@")
    return release(plain), Path(file).expanduser() if file else None


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
                f"no weights of {entry.name!r} are published; name a file of yours: {PREFIX}{entry.name}@FILE"
            )
        try:
            file = hub.download(REPOSITORY, entry.file)
        except ModelError as error:
            raise ModelError(
                f"{error}; or name the file: {PREFIX}{entry.name}@/path/to/{Path(entry.file).name}"
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


def announce(what: str, size: int, *, copies: int = 1) -> None:
    """Say what a big load will take, before it begins.

    Args:
        what: The sentence's beginning.
        size: Bytes that are read.
        copies: How many of these stay in memory.
    """
    if size < _BIG:
        return
    free = free_memory()
    memory = f", {copies * size / 1e9:.1f} GB of memory" if copies else ""
    have = f" ({free / 1e9:.1f} GB are free)" if free is not None and copies else ""
    _log.warning("%s: %.1f GB to read%s%s, about %.0f s", what, size / 1e9, memory, have, size / _BYTES_A_SECOND)


def build_generator(config: Mapping[str, Any]) -> Generator:
    """A generator without numbers, on the meta device, to be filled with weights.

    Raises:
        ModelError: if the configuration is not that of a generator.
    """
    try:
        make_code(config["tokenizer"]["code"])  # its table must not come to lie on the meta device
        with torch.device("meta"):
            model = Generator(**config)
        trunk = config["trunk"]
        positions = trunk.get("positions", "centres")
        model.trunk.rotate = Rotation(model.scales, trunk["width"] // trunk["heads"], positions)
    except (InputError, KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ModelError(f"these numbers do not describe a generator: {error}") from error
    return model


def _write_tokenizer(
    entry: Release, state: Mapping[str, Tensor], file: Path, target: Path, settings: dict[str, Any]
) -> None:
    kind = Tokenizer if entry.kind == "vit" else MultiScaleTokenizer
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
        "tokenizer": {"name": f"{PREFIX}{beneath.name}", "code": CODE},
        "name": entry.name,
    }
    trainer = loaded.get("trainer")
    if isinstance(trainer, Mapping) and trainer.get("vae_local"):
        folder = target / "tokenizer"
        folder.mkdir()
        state = find_state(loaded, (("trainer", "vae_local"),), file)
        _write_tokenizer(beneath, state, file, folder, settings.get("tokenizer", {}))
    expected = build_generator(config).state_dict()
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
