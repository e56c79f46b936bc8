"""Where models come from: a name becomes a directory, and this is the only code that touches the network.

A name is looked for in this order: bundled with the program, a directory, the cache, and only then `owner/name` on the
Hugging Face hub. A bundled name, a path and whatever is in the cache never cause a request.
Every model directory holds `config.json` (a kind and numbers, never code) and `model.safetensors`.
"""

__all__ = [
    "bundled",
    "cache_directory",
    "download",
    "fetch",
    "kind_of",
    "read_config",
    "resolve",
]

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import ModelError, UnknownModelError, did_you_mean

PRETRAINED = Path(__file__).parent / "pretrained"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_FILES = ("config.json", "model.safetensors")
_CONFIG_BYTES = 1 << 20
_CODE_KEYS = frozenset({"_target_", "target", "auto_map", "class_path", "cls", "__class__", "py/object", "import"})


def bundled(kind: str = "tokenizer") -> dict[str, Path]:
    """Name and directory of the models of a kind that lie in the package."""
    found = {}
    for path in sorted(PRETRAINED.glob("*/config.json")):
        if _json_object(path).get("kind") == kind:
            found[path.parent.name] = path.parent
    return found


def cache_directory() -> Path:
    """Where converted models are kept: `$WORKBENCH_CACHE`, or `lambda24-workbench` in the user's cache.

    A user without a home, as in a container with a number for a user, gets a path that does not exist: nothing is found
    there, and whoever wants to write is told where.
    """
    chosen = os.environ.get("WORKBENCH_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        base = Path("/nonexistent/.cache")
    return base / "lambda24-workbench"


def resolve(name: str, kind: str = "tokenizer") -> Path:
    """Return the directory, with `config.json` and `model.safetensors`, that a name stands for.

    Args:
        name: A bundled name, a directory, a name in the cache, or `owner/name` on the hub.
        kind: What it must be: `tokenizer`, `features`, `generator` …

    Raises:
        UnknownModelError: if nothing answers to the name.
        ModelError: if what does is not complete, or cannot be fetched.
    """
    if _PLAIN.fullmatch(name) and (PRETRAINED / name / "config.json").is_file():
        return _complete(PRETRAINED / name)
    directory = Path(name).expanduser()
    if name and directory.is_dir():
        return _complete(directory)
    if _PLAIN.fullmatch(name) and (cache_directory() / name / "config.json").is_file():
        return _complete(cache_directory() / name)
    if _HUB.fullmatch(name) and ".." not in name:
        return _complete(download(name, _FILES[0]).parent, fetch=name)
    raise UnknownModelError(
        f"{did_you_mean(kind, name, bundled(kind))}; {name!r} is no directory either. "
        "Pass a known name, the path of a model's directory, or owner/name of one on the hub"
    )


def download(repository: str, file: str) -> Path:
    """Return the path of a file of a hub repository: from the local cache, else over the network.

    Raises:
        ModelError: if it is not in the cache and cannot be fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    failures = (OSError, HfHubHTTPError, EntryNotFoundError, HFValidationError, *_transport_errors())
    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except failures as error:
        raise ModelError(f"cannot look for {file} of {repository!r} in the cache: {_line(error)}") from error
    try:
        return Path(hf_hub_download(repository, file))
    except failures as error:
        raise ModelError(
            f"cannot fetch {file} of {repository!r}: {_line(error)}. Check the name and the network; offline, copy the "
            "files here by other means and pass the path of their directory"
        ) from error


def fetch(address: str, path: Path) -> None:
    """Fetch a file over the network, whole or not at all, for somebody who asked for it.

    Args:
        address: `https://…/NAME-DIGITS.pth`, DIGITS the first of its content's SHA-256, which is checked.
        path: Where it goes.

    Raises:
        ModelError: if it cannot be fetched, or its content is another.
    """
    from urllib.error import URLError

    from torch.hub import download_url_to_file

    digits = address.rpartition("-")[2].partition(".")[0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download_url_to_file(address, str(path), hash_prefix=digits, progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"cannot fetch {address}: {_line(error)}. Offline, copy the file here by other means and pass its path"
        ) from error


def kind_of(directory: Path) -> object:
    """What the configuration in a model's directory says it is.

    Raises:
        ModelError: if it is missing, or is not one JSON object.
    """
    return _json_object(directory / "config.json").get("kind")


def read_config(directory: Path, kind: str) -> dict[str, Any]:
    """Return the configuration in a model's directory, without its kind.

    Raises:
        ModelError: if it is missing, is not one JSON object, is of another kind, or names code to run.
    """
    path = directory / "config.json"
    config = _json_object(path)
    code = next(_names_of_code(config), None)
    if code is not None:
        raise ModelError(f"{path} names code to run ({code!r}); a configuration here holds names and numbers only")
    found = config.pop("kind", None)
    if found != kind:
        raise ModelError(f"{path} describes a {found!r}, expected a {kind!r}: load it as what it is")
    return config


def _complete(directory: Path, *, fetch: str | None = None) -> Path:
    """The directory, if both files are in it; those of a hub repository are fetched."""
    for file in _FILES:
        if not (directory / file).is_file():
            if fetch is None:
                raise ModelError(
                    f"{directory} is no model: it has no {file}; a model's directory holds {' and '.join(_FILES)}"
                )
            directory = download(fetch, file).parent
    return directory


def _json_object(path: Path) -> dict[str, Any]:
    """One strict JSON object: no repeated keys, no NaN, at most a mebibyte.

    Raises:
        ModelError: if the file is anything else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_CONFIG_BYTES + 1)
        if len(data) > _CONFIG_BYTES:
            raise ModelError(f"{path} is over {_CONFIG_BYTES} bytes, too large for a configuration")
        value = json.loads(data.decode(), object_pairs_hook=_unrepeated, parse_constant=_no_constant)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a configuration in JSON: {_line(error)}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected one JSON object, got a {type(value).__name__}")
    return value


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _names_of_code(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _CODE_KEYS:
                yield key
            yield from _names_of_code(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names_of_code(inner)


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the hub's transport raises when a host cannot be reached."""
    try:
        import httpx
    except ImportError:
        return ()
    return (httpx.HTTPError,)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
