"""The codec of a model: its tokenizer with the entropy models that the tables beside its weights allow.

A *quality* is a rung of the ladder below: a model whose tokens carry more bits a pixel.
"""

__all__ = ["LADDER", "Codec", "codec_for", "load_codec", "qualities"]

import hashlib
import re
import threading
from collections.abc import Mapping
from types import MappingProxyType

from workbench import hub
from workbench.coding.entropy import EntropyModel
from workbench.coding.tables import Tables, load_tables, make_entropy_model
from workbench.errors import InputError, ModelError
from workbench.lattices.code import Code
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import default_tokenizer, load_tokenizer, tokenizers

# Quality → model. A model that is not at hand is a rung that is not offered.
LADDER: Mapping[int, str] = MappingProxyType(
    {1: "photo-rate-1", 2: "photo-leech", 3: "photo-rate-3", 4: "photo-rate-4"}
)

_BEST_FIRST = ("context", "static", "fixed")
_HEX = re.compile(r"[0-9a-f]{64}")


class Codec:
    """A tokenizer with the entropy models that its tables allow.

    Args:
        tokenizer: The model; it must come from a file, whose hash goes into every compressed file.
        tables: Its tables; None where it has none, and only `fixed` is left.

    Attributes:
        depth: Stages of the quantizer, 1 unless it is a residual one.
        size: Number of codewords of each stage, K.

    Raises:
        ModelError: if the weights were never saved, or the tables belong to another model.
        InputError: if the stages of the quantizer have codebooks of different sizes.
    """

    def __init__(self, tokenizer: GridTokenizer, tables: Tables | None = None) -> None:
        if tokenizer.weights_hash is None:
            raise ModelError(f"model {tokenizer.name!r} was never saved: save it and load it from its folder")
        if tables and (tables.weights, tables.codebook) != (tokenizer.weights_hash, tokenizer.fingerprint):
            raise ModelError(
                f"the entropy tables beside model {tokenizer.name!r} were made for weights {tables.weights[:12]}… and "
                f"codebook {tables.codebook[:12]}…, the model has {tokenizer.weights_hash[:12]}… and "
                f"{tokenizer.fingerprint[:12]}…: make them anew with training/entropy.py"
            )
        stages = tokenizer.quantizer.stages
        if len({stage.size for stage in stages}) != 1:
            raise InputError(f"stages of one size are expected, got {[stage.size for stage in stages]}")
        self.tokenizer = tokenizer
        self.tables = tables
        self.depth = len(stages)
        self.size = stages[0].size
        self._code = getattr(stages[0], "code", None)
        self._models: dict[str, EntropyModel] = {}
        self._lock = threading.Lock()

    @property
    def entropies(self) -> tuple[str, ...]:
        """Names of the entropy models that it has, the best first."""
        names = self.tables.names if self.tables else ("fixed",)
        return tuple(name for name in _BEST_FIRST if name in names)

    def entropy_model(self, name: str) -> EntropyModel:
        """The entropy model of a name, made once.

        Raises:
            InputError: if there is none of that name.
            ModelError: if this model has no tables for it.
        """
        with self._lock:
            if name not in self._models:
                code = self._code if isinstance(self._code, Code) else None
                self._models[name] = make_entropy_model(name, size=self.size, code=code, tables=self.tables)
            return self._models[name]

    @property
    def model_hash(self) -> bytes:
        """First 8 bytes of the SHA-256 of the weights."""
        return _prefix(str(self.tokenizer.weights_hash))

    @property
    def codebook_hash(self) -> bytes:
        """First 8 bytes of the SHA-256 of the codebook."""
        return _prefix(self.tokenizer.fingerprint)


def load_codec(name: str | None = None) -> Codec:
    """Return the codec of a model: its tokenizer, loaded once, and the tables that lie beside its weights.

    Args:
        name: A bundled name, a directory, or `owner/name`; None for the default model.

    Raises:
        ModelError: if there is no such model, or its tables are damaged or belong to another one.
    """
    name = name or default_tokenizer()
    return Codec(load_tokenizer(name, GridTokenizer), load_tables(hub.resolve(name)))


def qualities() -> dict[int, str]:
    """The rungs of the ladder whose models are at hand: quality → model."""
    at_hand = {entry.name for entry in tokenizers(GridTokenizer)}
    return {quality: model for quality, model in LADDER.items() if model in at_hand}


def codec_for(model: str | None = None, quality: int | None = None) -> Codec:
    """Return the codec for a model or for a quality; with neither, for the default model.

    Raises:
        InputError: if both are given, there is no such quality, or its model is not at hand.
        ModelError: as :func:`load_codec`.
    """
    if quality is None:
        return load_codec(model)
    if model is not None:
        raise InputError(f"--quality {quality} stands for a model; give it or --model {model}, not both")
    rungs = qualities()
    if quality not in rungs:
        known = ", ".join(f"{rung} ({name})" for rung, name in rungs.items()) or "none"
        if quality not in LADDER:
            raise InputError(f"there is no quality {quality}: the ladder goes from {min(LADDER)} to {max(LADDER)}")
        name = LADDER[quality]
        raise InputError(
            f"quality {quality} is model {name!r}, which is not at hand; at hand: {known}. Take one of these, or train "
            f"it with `python -m training.tokenizer --recipe {name}` and name its folder with --model"
        )
    return load_codec(rungs[quality])


def _prefix(fingerprint: str) -> bytes:
    """First 8 bytes of a SHA-256 in hex; of that of the text where a composed codebook has a longer name."""
    digest = fingerprint if _HEX.fullmatch(fingerprint) else hashlib.sha256(fingerprint.encode()).hexdigest()
    return bytes.fromhex(digest[:16])
