"""The catalogue: which models are at hand, and one loaded copy of those in use.

At hand are models bundled with the program, models trained or converted here (in the workbench's own cache directory)
and models fetched before (in the hub's cache). Listing reads configurations only and never asks the network.
"""

__all__ = [
    "DEFAULT",
    "Entry",
    "default_tokenizer",
    "load_tokenizer",
    "models_at_hand",
    "perceptual_distance",
    "tokenizers",
]

import functools
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import hub
from workbench.errors import ModelError, WorkbenchError
from workbench.metrics.perceptual import FeatureDistance
from workbench.models.features import FeatureNetwork
from workbench.models.tokenizer import Tokenizer
from workbench.quantizers.registry import make_quantizer

DEFAULT = ("photo-leech", "photo-leech-mae")  # whichever is there first, is the default
_LOADED_AT_ONCE = 4

_log = logging.getLogger(__name__)
_loaded: OrderedDict[str, Tokenizer] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """A model at hand.

    Attributes:
        name: What to call it by.
        kind: `tokenizer`, `generator`, …
        place: `bundled`, `trained here` or `fetched`.
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

    def row(self) -> dict[str, object]:
        """What a list shows of it; builds its codebook to tell the bits."""
        settings = self.config.get("quantizer")
        return {
            "name": self.name,
            "kind": self.kind,
            "place": self.place,
            "quantizer": self.quantizer,
            "bits_per_token": make_quantizer(**settings).bits_per_index if settings else None,
            "factor": self.factor,
            "codebook": self.config.get("codebook"),
            "bytes": self.bytes,
            "path": self.path,
        }


def models_at_hand() -> list[Entry]:
    """List every model at hand, of any kind: bundled, then trained here, then fetched, each by name."""
    found: dict[str, Entry] = {}
    places = [("bundled", hub.PRETRAINED), ("trained here", hub.cache_directory())]
    for place, folder in places:
        for config in sorted(folder.glob("*/config.json")):
            _add(found, config.parent.name, place, config.parent)
    for name, directory in _fetched():
        _add(found, name, "fetched", directory)
    return list(found.values())


def tokenizers() -> list[Entry]:
    """List the tokenizers at hand, the default first."""
    entries = [entry for entry in models_at_hand() if entry.kind == "tokenizer"]
    return sorted(entries, key=lambda e: DEFAULT.index(e.name) if e.name in DEFAULT else len(DEFAULT))


def default_tokenizer() -> str:
    """Name of the tokenizer to use when none is named.

    Raises:
        ModelError: if there is none at hand.
    """
    entries = tokenizers()
    if not entries:
        raise ModelError("no tokenizer is at hand: train one, or name a directory or owner/name with --model")
    return entries[0].name


def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a name, loaded once and kept while it is among the last few asked for.

    Raises:
        ModelError: as :meth:`Tokenizer.from_pretrained`.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = Tokenizer.from_pretrained(name)
            while len(_loaded) > _LOADED_AT_ONCE:
                _loaded.popitem(last=False)
        _loaded.move_to_end(name)
        return _loaded[name]


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
            if config.is_file() and b'"codebook"' in config.read_bytes()[: 1 << 20]:
                yield repository.repo_id, revision.snapshot_path
