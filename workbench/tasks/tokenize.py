"""Tokenizing in bulk: shards of pictures in, shards of tokens out, by any number of processes, resumable.

A tar shard gives one shard of tokens, a folder one for every `per_shard` pictures. Shards are shared out among the
processes in turn; each is written whole and its JSON last, so after an interruption the finished ones, checked by their
SHA-256, are passed over where their pictures have not changed, and the others are made. At the end the first process
writes `manifest.json` over all.
"""

__all__ = ["Bulk", "tokenize_shards"]

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from workbench import atomic
from workbench.errors import ImageError, InputError
from workbench.fit.engine.distributed import World
from workbench.fit.generator.token_shards import bits_for, made_by, write_shard
from workbench.images.arrays import to_float
from workbench.images.crops import square_picture
from workbench.images.sources import Sample, Source, open_source
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress, no_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bulk:
    """What was done.

    Attributes:
        shards: Shards of tokens there are now.
        made: Of these, made by this process now.
        pictures: Pictures in them.
        tokens: Tokens in them.
        passed_over: Names of the pictures that could not be read.
        manifest: The file that lists the shards.
    """

    shards: int
    made: int
    pictures: int
    tokens: int
    passed_over: tuple[str, ...]
    manifest: Path


@dataclass(frozen=True)
class _Unit:
    """Pictures `start` to `stop` of a source, which become one shard."""

    name: str
    source: Source
    start: int
    stop: int

    @property
    def identity(self) -> str:
        """That of its source; a picture that is added moves all that come after it."""
        return self.source.identity


def tokenize_shards(
    data: Sequence[str | Path],
    out: Path,
    tokenizer: Tokenizer,
    *,
    square: int | None = None,
    packed: bool = True,
    batch_size: int = 16,
    per_shard: int = 1024,
    world: World | None = None,
    progress: Progress = no_progress,
) -> Bulk:
    """Tokenize pictures shard by shard, leaving out those that are done.

    Args:
        data: Tar shards, folders or pictures.
        out: Folder for the shards of tokens.
        tokenizer: Turns pictures into indices; moved to the device. One of several scales gives a row of tokens a
            picture, coarse to fine.
        square: Cut each picture to its centre square of this side; None takes it whole, at its own size, or at the one
            size that the tokenizer takes.
        packed: Write ⌈log2 K⌉ bits an index instead of 32.
        batch_size: Pictures of one size that go through the network together.
        per_shard: Pictures of a folder that make a shard.
        world: The processes; None for this one alone.
        progress: Told the share done.

    Raises:
        InputError: if two shards would have one name, a number makes no sense, or `out` holds shards that were made
            with another model or other settings.
        ImageError: if a path does not exist.
    """
    world = world or World()
    if batch_size < 1 or per_shard < 1 or (square is not None and square < 1):
        raise InputError(f"expected numbers from 1 up, got {batch_size=}, {per_shard=}, {square=}")
    if tokenizer.depth > 1:
        raise InputError(f"model {tokenizer.name!r} gives {tokenizer.depth} tokens a patch, shards of tokens hold one")
    bits = bits_for(tokenizer.words)
    if bits > 32:
        raise InputError(f"indices of {tokenizer.name!r} take {bits} bits, shards of tokens hold at most 32")
    if tokenizer.side is not None:
        if square not in (None, tokenizer.side):
            raise InputError(f"model {tokenizer.name!r} takes pictures of {tokenizer.side} pixels, got square={square}")
        square = tokenizer.side
    about = {"format": 1, **made_by(tokenizer), "square": square, "packed": packed, "bits": bits}
    units = list(_units(data, per_shard))
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.to(world.device).eval()
    mine, made = units[world.rank :: world.size], 0
    with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
        for number, unit in enumerate(mine):
            progress(number / len(mine), unit.name)
            if _finished(out, unit, about) is None:
                _make(out, unit, tokenizer, about, square=square, batch_size=batch_size, pool=pool)
                made += 1
    world.wait()
    records = [record for unit in units if (record := _finished(out, unit, about)) is not None]
    manifest = out / "manifest.json"
    if world.first:
        shards = [{key: value for key, value in record.items() if key not in about} for record in records]
        atomic.write_text(manifest, json.dumps({**about, "shards": shards}, indent=1, ensure_ascii=False) + "\n")
    progress(1.0, f"{len(records)} shards")
    return Bulk(
        shards=len(records),
        made=made,
        pictures=sum(record["pictures"] for record in records),
        tokens=sum(record["tokens"] for record in records),
        passed_over=tuple(name for record in records for name in record["passed_over"]),
        manifest=manifest,
    )


def _units(data: Sequence[str | Path], per_shard: int) -> Iterator[_Unit]:
    """The shards to be, in the order of the arguments, each with a name of its own."""
    taken: dict[str, str | Path] = {}
    for path in data:
        source = open_source(path)
        whole = Path(path).suffix == ".tar"
        for start in range(0, len(source), len(source) if whole else per_shard):
            name = Path(path).resolve().name.removesuffix(".tar") + ("" if whole else f"-{start // per_shard:05d}")
            if name in taken:
                raise InputError(f"{taken[name]} and {path} would both become {name}: rename one, or run them apart")
            taken[name] = path
            yield _Unit(name, source, start, len(source) if whole else min(start + per_shard, len(source)))


def _finished(out: Path, unit: _Unit, about: dict[str, Any]) -> dict[str, Any] | None:
    """The record of a shard that is done and whole; None if it has to be made."""
    path = out / f"{unit.name}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        content = (out / record["file"]).read_bytes()
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        _log.warning("making %s again: its record cannot be read (%s)", path, error)
        return None
    changed = [key for key, value in about.items() if record.get(key) != value]
    if changed:
        raise InputError(
            f"{path} was made with another {', '.join(changed)} ({record.get(changed[0])!r}, now "
            f"{about[changed[0]]!r}): choose another folder, or remove it"
        )
    if record.get("source") != unit.identity:
        _log.warning("making %s again: its pictures have changed since", out / record["file"])
        return None
    if len(content) != record["bytes"] or hashlib.sha256(content).hexdigest() != record["sha256"]:
        _log.warning("making %s again: it is damaged", out / record["file"])
        return None
    return record


def _make(
    out: Path,
    unit: _Unit,
    tokenizer: Tokenizer,
    about: dict[str, Any],
    *,
    square: int | None,
    batch_size: int,
    pool: ThreadPoolExecutor,
) -> None:
    grids, labels, sizes, keys, bad = [], [], [], [], []

    def read(index: int) -> Sample | ImageError:
        try:
            sample = unit.source[index]
        except ImageError as error:
            return error
        return sample if square is None else Sample(sample.key, square_picture(sample.image, square), sample.label)

    def samples() -> Iterator[Sample]:
        for first in range(unit.start, unit.stop, 4 * batch_size):
            indices = range(first, min(first + 4 * batch_size, unit.stop))
            for index, sample in zip(indices, pool.map(read, indices), strict=True):
                if isinstance(sample, ImageError):
                    _log.warning("passed over: %s", sample)
                    bad.append(unit.source.keys[index])
                else:
                    yield sample

    for _, alike in groupby(samples(), key=lambda sample: sample.image.shape):
        for batch in _batches(alike, batch_size):
            images = to_float(np.stack([sample.image for sample in batch]))
            indices = tokenizer.tokenize(images).cpu().numpy()
            grids += list(indices if indices.ndim == 3 else indices[:, None])
            labels += [-1 if sample.label is None else sample.label for sample in batch]
            sizes += [sample.image.shape[:2] for sample in batch]
            keys += [sample.key for sample in batch]
    record = {**about, "source": unit.identity, "passed_over": bad}
    write_shard(out, unit.name, grids, labels=labels, sizes=sizes, keys=keys, about=record)


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
