"""Loading a published model by name: converted where that has not been done, announced where it is big."""

__all__ = ["load_generator", "load_tokenizer", "open_generator"]

from pathlib import Path

from workbench import hub
from workbench.errors import ModelError
from workbench.models.generator import Generator
from workbench.models.multiscale_tokenizer import MultiScaleTokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.models.upstream.convert import announce, build_generator, directory_of, parse_name
from workbench.models.weights import file_digest, load_weights


def load_tokenizer(name: str) -> Tokenizer:
    """Return a published tokenizer: `upstream:NAME`, or `upstream:NAME@FILE` for an authors' file at hand.

    Raises:
        ModelError: if there is none of that name, or its file cannot be had or used.
    """
    entry, file = parse_name(name)
    if entry.kind == "generator":
        raise ModelError(f"{entry.name!r} is a generator, expected a tokenizer, as {entry.tokenizer!r}")
    directory = directory_of(entry, file)
    announce(f"loading {entry.name}", (directory / "model.safetensors").stat().st_size, copies=2)
    kind = Tokenizer if entry.kind == "vit" else MultiScaleTokenizer
    return kind.from_pretrained(directory)


def load_generator(name: str) -> Generator:
    """Return a published generator; names as for :func:`load_tokenizer`.

    Its `config["tokenizer"]["name"]` is what to load its tokenizer by.

    Raises:
        ModelError: if there is none of that name, or its file cannot be had or used.
    """
    entry, file = parse_name(name)
    if entry.kind != "generator":
        raise ModelError(f"{entry.name!r} is a tokenizer, expected a generator, as 'infinitycc-12'")
    return open_generator(directory_of(entry, file))


def open_generator(directory: Path) -> Generator:
    """Return the converted generator in a directory, with its weights in memory once.

    Raises:
        ModelError: if its configuration or weights do not fit.
    """
    config = hub.read_config(directory, kind="generator")
    path = directory / "model.safetensors"
    announce(f"loading {config.get('name', directory)}", path.stat().st_size)
    model = build_generator(config)
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    weights = load_weights(path, expected)
    model.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    if (directory / "tokenizer" / "config.json").is_file():  # it came in the same file
        model.config["tokenizer"] = {**model.config["tokenizer"], "name": str(directory / "tokenizer")}
    model.weights_hash = file_digest(path)
    return model.requires_grad_(requires_grad=False).eval()
