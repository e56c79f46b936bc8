"""The settings of a run, and how a line of text changes them.

Settings are frozen dataclasses of plain values. They come from a named recipe, from JSON, or from a recipe with
`key=value` overrides (`run.steps=100`, dotted for nested ones), and pydantic checks each value against its type.
A key that does not exist is an error that names the nearest one that does: a misspelt setting must never be a
setting that was silently left alone.
"""

__all__ = ["Run", "differences", "flat", "from_mapping", "override", "to_mapping"]

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from workbench.errors import InputError, did_you_mean

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Run:
    """What the engine needs to know: budget, schedule, precision, and how often to look, log and save.

    Attributes:
        steps: Budget in optimiser steps; exactly one of `steps` and `minutes` is given.
        minutes: Budget in minutes of running time, interruptions not counted; the schedule follows the clock.
        batch_size: Samples a step, over all processes and accumulated parts together.
        seed: Fixes initial weights, batch order and every random number of every step.
        schedule: Shape of the learning rate after warm-up.
        warmup_steps: Steps of linear warm-up.
        warmup_from: Factor on the learning rate at the first step.
        hold: Share of the budget spent at the peak before the decay starts, in [0, 1).
        final: Factor on the learning rate at the end.
        clip_norm: Largest gradient norm; None leaves gradients alone.
        average_decay: Decay of the running average of the weights; None keeps no average.
        accumulate: Parts into which a process splits its share of a batch, to save memory.
        precision: Arithmetic of the networks; losses and searches stay in float32.
        gradient_checkpointing: Compute activations twice instead of keeping them.
        compile: Let `torch.compile` translate the networks.
        parallel: How many processes share the work: copies (`ddp`) or shards (`fsdp`) of the networks.
        spike: A gradient norm this many times the usual one marks a bad batch; None accepts all finite ones.
        max_strikes: A bad batch is a strike, 100 good ones take one back; more than this many stop the run.
        log_every: Steps between log lines.
        evaluate_every: Steps between evaluations; None evaluates at the end only.
        save_every: Steps between checkpoints; None leaves it to the clock.
        save_minutes: Minutes between checkpoints; None leaves it to the steps.
        keep_last: Checkpoints kept, the newest first.
        keep_best: Keep the best one besides.
        tensorboard: Write TensorBoard files beside the log.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 32
    seed: int = 0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = 200
    warmup_from: float = 0.1
    hold: float = 0.0
    final: float = 0.01
    clip_norm: float | None = 1.0
    average_decay: float | None = 0.999
    accumulate: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    compile: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    spike: float | None = 20.0
    max_strikes: int = 20
    log_every: int = 50
    evaluate_every: int | None = 1000
    save_every: int | None = None
    save_minutes: float | None = 10.0
    keep_last: int = 2
    keep_best: bool = True
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Check what no type can say.

        Raises:
            InputError: naming the setting, its value and its range.
        """
        if (self.steps is None) == (self.minutes is None):
            raise InputError(
                f"give either steps or minutes as the budget, got steps={self.steps}, minutes={self.minutes}"
            )
        for name in ("steps", "minutes", "batch_size", "accumulate", "log_every", "evaluate_every", "keep_last"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name}={value}: expected a number above 0")
        for name in ("save_every", "save_minutes", "clip_norm", "spike"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name}={value}: expected a number above 0, or null for none")
        for name in ("warmup_steps", "warmup_from", "final", "max_strikes"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}: expected a number of at least 0")
        if not 0 <= self.hold < 1:
            raise InputError(f"hold={self.hold}: expected a share of the budget in [0, 1)")
        if self.average_decay is not None and not 0 <= self.average_decay < 1:
            raise InputError(f"average_decay={self.average_decay}: expected a number in [0, 1), or null for none")


_UNIONS = (types.UnionType, typing.Union)


def to_mapping(settings: object) -> dict[str, Any]:
    """Settings as nested dictionaries of plain values, ready for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(settings), default=str))  # type: ignore[call-overload]


def from_mapping(kind: type[T], values: Mapping[str, Any], *, what: str = "setting") -> T:
    """Build settings from nested dictionaries.

    Args:
        kind: A frozen dataclass, possibly of frozen dataclasses.
        values: Its values; missing ones take their defaults.
        what: What a key is called in a message.

    Raises:
        InputError: if a key is unknown or a value does not fit.
    """
    from pydantic import TypeAdapter, ValidationError

    _check_keys(kind, values, what, "")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if isinstance(part, str)) or kind.__name__
        raise InputError(f"{what} {place}: {first['msg']}; got {first['input']!r}") from error


def override(settings: T, pairs: Sequence[str]) -> T:
    """Return settings with some values replaced.

    Args:
        settings: A frozen dataclass.
        pairs: Texts `key=value`; the value is read as JSON where it is JSON, else as text.

    Raises:
        InputError: if a pair has no `=`, a key is unknown, or a value does not fit.

    Example:
        >>> override(Run(steps=10), ["steps=20", "precision=bfloat16"]).steps
        20
    """
    values = to_mapping(settings)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"{pair!r} is not key=value; write for example run.steps=1000")
        *parents, last = key.strip().split(".")
        place, kind = values, type(settings)
        for parent in parents:
            _check_keys(kind, {parent: None}, "setting", key.rpartition(".")[0])
            if not isinstance(place[parent], dict):
                raise InputError(f"{key}: {parent!r} is a single value and has no parts")
            place, kind = place[parent], _nested(kind, parent) or dict
        if dataclasses.is_dataclass(kind):
            _check_keys(kind, {last: None}, "setting", ".".join(parents))
        place[last] = _parse(text.strip())
    # Steps and minutes exclude each other, so whoever sets one drops the other.
    given = {pair.partition("=")[0].strip() for pair in pairs}
    for one, other in (("steps", "minutes"), ("minutes", "steps")):
        for key in given:
            prefix, _, last = key.rpartition(".")
            if last == one and f"{prefix}.{other}".lstrip(".") not in given:
                place = values
                for parent in filter(None, prefix.split(".")):
                    place = place[parent]
                if other in place and place[one] is not None:
                    place[other] = None
    return from_mapping(type(settings), values)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one with dotted keys."""
    result = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        result |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two nested dictionaries, one text `key: old → new` each."""
    before, after = flat(old), flat(new)
    keys = sorted(before.keys() | after.keys())
    return [f"{key}: {before.get(key)} → {after.get(key)}" for key in keys if before.get(key) != after.get(key)]


def _parse(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def _nested(kind: type, name: str) -> type | None:
    """The dataclass type of a field, looked for inside `X | None` too."""
    for field in dataclasses.fields(kind):
        if field.name == name:
            parts = typing.get_args(field.type) if typing.get_origin(field.type) in _UNIONS else ()
            for candidate in (field.type, *parts):
                if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
                    return candidate
    return None


def _check_keys(kind: type, values: Mapping[str, Any], what: str, place: str) -> None:
    """Raise for a key that the dataclass does not have, here or in a nested one."""
    if not dataclasses.is_dataclass(kind):
        return
    known = [field.name for field in dataclasses.fields(kind)]
    for key, value in values.items():
        if key not in known:
            raise InputError(did_you_mean(f"{what} in {place}" if place else what, str(key), known))
        nested = _nested(kind, key)
        if nested and isinstance(value, Mapping):
            _check_keys(nested, value, what, f"{place}.{key}".lstrip("."))
