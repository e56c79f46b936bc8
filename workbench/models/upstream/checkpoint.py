"""Reading the authors' checkpoint files, which are pickles, without ever running what they say.

torch's restricted unpickler builds tensors, plain containers and classes of an explicit list; any other class is
refused by name before the file is read. The classes of arguments that the authors' training code pickles are replaced
by :class:`Arguments`, which holds values and does nothing, so a file cannot reach the real ones.
"""

__all__ = ["Arguments", "find_state", "flat_arguments", "read_checkpoint"]

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.errors import ModelError


class Arguments:
    """What stands in for a pickled class of settings: a bag of values without behaviour."""

    def __init__(self, *values: object) -> None:
        self.values = values


class PathText(str):
    """What stands in for a pickled path: its text."""

    __slots__ = ()

    def __new__(cls, *parts: str) -> "PathText":
        """Join the parts by slashes."""
        return super().__new__(cls, "/".join(map(str, parts)))


# Every class outside torch's own list that a file may name, and what is built in its place.
STAND_INS: Mapping[str, type] = {
    "argparse.Namespace": Arguments,
    "infinity.utils.arg_util.Args": Arguments,
    "tools.arg_util.Args": Arguments,
    "omegaconf.dictconfig.DictConfig": Arguments,
    "easydict.EasyDict": Arguments,
    "pathlib.Path": PathText,
    "pathlib.PosixPath": PathText,
    "pathlib.PurePosixPath": PathText,
    "pathlib.WindowsPath": PathText,
}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the dictionary that a `.pth`, `.ckpt` or `.pt` file holds; tensors are mapped, not read.

    Raises:
        ModelError: if the file cannot be read, names a class outside the list, or holds no dictionary.
    """
    try:
        with path.open("rb") as file:
            zipped = zipfile.is_zipfile(file)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if not zipped:
        raise ModelError(
            f"{path} is not a checkpoint of torch.save (a zip archive): expected the authors' .pth or .ckpt file"
        )
    try:
        with torch.serialization.safe_globals([(standin, name) for name, standin in STAND_INS.items()]):
            refused = _outside_the_list(path)
            if refused:
                raise ModelError(
                    f"{path} names {', '.join(refused)}, which could run code and is not on the list of harmless "
                    "classes: nothing was loaded. Save it again as plain tensors, or get it from the authors"
                )
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, IndexError) as error:
        raise ModelError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from error
    except (TypeError, AttributeError, AssertionError, RecursionError, zipfile.BadZipFile, OSError) as error:
        raise ModelError(f"{path} is damaged: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path} holds a {type(loaded).__name__}, expected a dictionary with weights")
    return loaded


def find_state(loaded: Mapping[str, Any], places: Sequence[tuple[str, ...]], path: Path) -> dict[str, Tensor]:
    """Return the first state dictionary found at the given places, with wrappers' prefixes taken off.

    Args:
        loaded: What the file holds.
        places: Keys that lead to a state dictionary, the preferred first; `()` is the file itself.
        path: The file, for messages.

    Raises:
        ModelError: if there is none, an entry is no tensor, two entries agree but for a prefix, or a tensor is only a
            shard.
    """
    for place in places:
        state: Any = loaded
        for key in place:
            state = state.get(key) if isinstance(state, Mapping) else None
        if isinstance(state, Mapping) and any(isinstance(value, Tensor) for value in state.values()):
            return _plain(state, path)
    shown = " or ".join(".".join(place) or "the file itself" for place in places)
    raise ModelError(f"{path}: no weights under {shown}; it holds {', '.join(map(str, list(loaded)[:20]))}")


def flat_arguments(loaded: Mapping[str, Any]) -> dict[str, object]:
    """The settings that a checkpoint carries (`args` and `trainer.config`), flat, sorted, as plain values."""
    found: dict[str, object] = {}
    trainer = loaded.get("trainer")
    sources = {"args": loaded.get("args"), "config": loaded.get("config")}
    if isinstance(trainer, Mapping):
        sources["trainer"] = trainer.get("config")
    for name, value in sources.items():
        _flatten(name, value, found, depth=0)
    return dict(sorted(found.items()))


def _outside_the_list(path: Path) -> list[str]:
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    if any(name.startswith("torch.distributed.") for name in names):
        import_module("torch.distributed.tensor")  # registers the classes of sharded tensors as harmless
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return sorted(set(names))


def _plain(state: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ModelError(f"{path}: entry {str(key)[:80]!r} is a {type(value).__name__}, expected a tensor")
        name = key
        for wrapper in ("_fsdp_wrapped_module.", "_orig_mod.", "_checkpoint_wrapped_module."):
            name = name.replace(wrapper, "")
        while name.startswith("module."):
            name = name.removeprefix("module.")
        if name in plain:
            raise ModelError(f"{path}: {name!r} stands twice, once as {key!r}")
        plain[name] = _whole(value, name, path)
    return plain


def _whole(value: Tensor, name: str, path: Path) -> Tensor:
    """The tensor itself; for one that was sharded over processes, its local part if that is all of it."""
    local = getattr(value, "_local_tensor", None)
    if local is None:
        return value
    if local.shape != value.shape:
        raise ModelError(
            f"{path}: {name!r} is one shard, {tuple(local.shape)} of {tuple(value.shape)}: gather the checkpoint "
            "into whole tensors where it was saved"
        )
    return local


def _flatten(name: str, value: object, found: dict[str, object], *, depth: int) -> None:
    if isinstance(value, Arguments):
        value = vars(value)
    if isinstance(value, Mapping) and depth < 8:
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, found, depth=depth + 1)
    elif isinstance(value, (bool, int, float, str)) or (value is None and depth):
        found[name] = value
    elif isinstance(value, (list, tuple)) and all(isinstance(v, (bool, int, float, str, type(None))) for v in value):
        found[name] = list(value)
    elif value is not None:
        found[name] = f"<{type(value).__name__}>"
