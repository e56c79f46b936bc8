"""The catalogue: which models are at hand, and one loaded copy of those in use.

At hand are models bundled with the program, models trained or converted here (in the workbench's own cache directory)
and models fetched before (in the hub's cache). Listing reads configurations only and never asks the network.
"""

__all__ = [
    "DEFAULT",
    "Entry",
    "Pair",
    "default_generator",
    "default_tokenizer",
    "generators",
    "load_generator",
    "load_tokenizer",
    "models_at_hand",
    "perceptual_distance",
    "tokenizers",
]

import functools
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from workbench import hub
from workbench.errors import ModelError, WorkbenchError
from workbench.metrics.perceptual import FeatureDistance
from workbench.models.cache import RecentlyUsed
from workbench.models.features import FeatureNetwork
from workbench.models.generator import Generator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.names import TOKENIZERS, directory_of
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.quantizers.registry import make_quantizer

DEFAULT = ("photo-leech", "photo-leech-mae", "flowers-64")  # whichever of a kind is there first, is its default
_KEPT = 6  # a generator and its tokenizer are two
_MARKS = (b'"codebook"', b'"class_dropout"')  # what the configurations of tokenizers and of generators have in them

_log = logging.getLogger(__name__)
_loaded = RecentlyUsed(_KEPT)

T = TypeVar("T", bound=Tokenizer)


@dataclass(frozen=True)
class Entry:
    """A model at hand.

    Attributes:
        name: What to call it by.
        kind: `tokenizer`, `generator`, …
        place: `bundled`, `trained here`, `converted here` or `fetched`.
        path: Its directory.
        config: Its configuration.
    """

    name: str
    kind: str
    place: str
    path: Path
    config: Mapping[str, Any] = field(repr=False)

    @property
    def bytes(self) -> int:
        """Size of its weights on disk."""
        return (self.path / "model.safetensors").stat().st_size

    @property
    def quantizer(self) -> str | None:
        """Name of its quantizer, where it has one."""
        return (self.config.get("quantizer") or {}).get("name")

    @property
    def factor(self) -> int | None:
        """Pixels a side that one token stands for, where that is said."""
        return (self.config.get("body") or {}).get("factor")

    def row(self) -> dict[str, Any]:
        """What a list shows of it; builds its codebook to tell the bits."""
        settings = self.config.get("quantizer")
        quantizer = make_quantizer(**settings) if settings else None
        depth = len(quantizer.stages) if quantizer else None
        return {
            "name": self.name,
            "kind": self.kind,
            "place": self.place,
            "quantizer": self.quantizer,
            "depth": depth,
            "bits_per_token": quantizer.bits_per_index / depth if quantizer and depth else None,
            "factor": self.factor,
            "codebook": self.config.get("codebook"),
            "bytes": self.bytes,
            "path": self.path,
        }


@dataclass(frozen=True)
class Pair:
    """A generator and the tokenizer that turns its tokens into pictures.

    Attributes:
        generator: In evaluation mode.
        tokenizer: The one whose tokens the generator was trained on.
    """

    generator: Generator
    tokenizer: PyramidTokenizer


def models_at_hand() -> list[Entry]:
    """List every model at hand, of any kind: bundled, then trained here, then fetched, each by name."""
    found: dict[str, Entry] = {}
    for config in sorted(hub.PRETRAINED.glob("*/config.json")):
        _add(found, config.parent.name, "bundled", config.parent)
    for config in sorted(hub.cache_directory().glob("*/config.json")):
        converted = (config.parent / "arguments.json").is_file()
        _add(found, config.parent.name, "converted here" if converted else "trained here", config.parent)
    for name, directory in _fetched():
        _add(found, name, "fetched", directory)
    return list(found.values())


def tokenizers(kind: type[Tokenizer] = Tokenizer) -> list[Entry]:
    """List the tokenizers at hand, of any kind or of one, the default first."""
    return _of_kind(*(name for name in TOKENIZERS if kind is Tokenizer or kind.kind == name))


def generators() -> list[Entry]:
    """List the generators at hand, the default first."""
    return _of_kind("generator")


def _of_kind(*kinds: str) -> list[Entry]:
    entries = [entry for entry in models_at_hand() if entry.kind in kinds]
    return sorted(entries, key=lambda e: DEFAULT.index(e.name) if e.name in DEFAULT else len(DEFAULT))


def default_tokenizer() -> str:
    """Name of the tokenizer to use when none is named.

    Raises:
        ModelError: if there is none at hand.
    """
    entries = tokenizers(GridTokenizer)
    if not entries:
        raise ModelError("no tokenizer is at hand: train one, or name a directory or owner/name with --model")
    return entries[0].name


def default_generator() -> str:
    """Name of the generator to use when none is named.

    Raises:
        ModelError: if there is none at hand.
    """
    entries = generators()
    if not entries:
        raise ModelError(
            "no generator is at hand: train one with `python -m training.generator --recipe flowers-64 --tokenizer "
            "NAME --data PATH`, or name a directory or owner/name with --model"
        )
    return entries[0].name


@overload
def load_tokenizer(name: str) -> Tokenizer: ...
@overload
def load_tokenizer(name: str, kind: type[T]) -> T: ...
def load_tokenizer(name: str, kind: type[Tokenizer] = Tokenizer) -> Tokenizer:
    """Return the tokenizer of a name, loaded once and kept while it is among the last few models asked for.

    Everyone gets the same one: copy it before you change its device or type.

    Args:
        name: A bundled name, a directory, a name in the cache, `owner/name` on the hub, or `upstream:NAME`.
        kind: What it must be; :class:`Tokenizer` takes any.

    Raises:
        ModelError: if there is none, or it is of another kind or cannot be used.
    """
    directory = directory_of(name, "tokenizer")
    sibling = kind.class_of(directory)
    return _loaded.get(_identity(directory), lambda: sibling.from_pretrained(directory))


def load_generator(name: str, tokenizer: str | None = None) -> Pair:
    """Return a generator with its tokenizer, each loaded once and kept likewise.

    Args:
        name: Of the generator, as for :func:`load_tokenizer`.
        tokenizer: Likewise; None for the one that the generator's configuration names.

    Raises:
        ModelError: if one of them cannot be loaded, or the generator was trained on another tokenizer's tokens.
    """
    directory = directory_of(name, "generator")
    generator = _loaded.get(_identity(directory), lambda: Generator.from_pretrained(directory))
    trained_on = generator.config["tokenizer"]
    pair = Pair(generator, load_tokenizer(tokenizer or trained_on["name"], PyramidTokenizer))
    for what, expected, got in (
        ("scales", list(generator.scales), list(pair.tokenizer.scales)),
        ("the code", trained_on["code"], pair.tokenizer.quantizer.base.name),
        ("weights of SHA-256", trained_on.get("weights") or pair.tokenizer.weights_hash, pair.tokenizer.weights_hash),
    ):
        if expected != got:
            raise ModelError(
                f"generator {generator.name!r} was trained on the tokens of {trained_on['name']!r} with {what} "
                f"{expected}, but tokenizer {pair.tokenizer.name!r} has {got}: name the tokenizer it belongs to"
            )
    return pair


def _identity(directory: Path) -> tuple[object, ...]:
    """What a loaded model is kept under: its directory, and its files as they are now."""
    facts = [(directory / file).stat() for file in ("config.json", "model.safetensors")]
    return (directory.resolve(), *((each.st_ino, each.st_size, each.st_mtime_ns) for each in facts))


@functools.cache
def perceptual_distance() -> FeatureDistance:
    """The perceptual distance that every table shows: on the bundled feature network, under its name.

    Raises:
        ModelError: if the network is not at hand.
    """
    return FeatureDistance(FeatureNetwork.from_pretrained("leaf"), "leaf")


def _add(found: dict[str, Entry], name: str, place: str, directory: Path) -> None:
    """Enter a model unless its name is taken; one that cannot be read is named in the log and left out."""
    if name in found or not (directory / "model.safetensors").is_file():
        return
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        found[name] = Entry(name, str(config["kind"]), place, directory, config)
    except (OSError, ValueError, KeyError, TypeError, WorkbenchError) as error:
        _log.warning("%s is left out of the list: %s", directory, error)


def _fetched() -> Iterator[tuple[str, Path]]:
    """Name and directory of the models of ours in the hub's cache; `owner/name`, the newest snapshot of each."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repository in sorted(repositories, key=lambda r: r.repo_id):
        revisions = sorted(repository.revisions, key=lambda r: r.last_modified, reverse=True)
        for revision in revisions[:1]:
            config = revision.snapshot_path / "config.json"
            if config.is_file() and any(mark in config.read_bytes()[: 1 << 20] for mark in _MARKS):
                yield repository.repo_id, revision.snapshot_path
