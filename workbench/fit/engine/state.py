"""Everything that changes in a run, gathered for a checkpoint and put back from one.

Tensors are named by network and parameter, not by position in an optimiser, so that a reordering of groups cannot
attach a moment to the wrong weight. Sharded tensors are gathered whole, so a checkpoint does not know how many
processes wrote it.
"""

__all__ = ["State"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench.errors import TrainingError
from workbench.fit.engine.checkpoint import Contents
from workbench.fit.engine.distributed import assign, whole
from workbench.fit.engine.ema import Average
from workbench.fit.engine.guard import Guard
from workbench.fit.engine.step import Step


@dataclass
class State:
    """A run at one moment.

    Attributes:
        modules: The networks by name.
        step: The engine's step, which holds optimisers and running sums.
        average: The averaged weights, if any.
        guard: The judge of bad batches.
        index: Steps done; the next batch has this number.
        seconds: Running time so far, interruptions not counted.
        scores: The last evaluation.
        scored: The step it was made at.
        best: `step` and `value` of the best evaluation so far.
    """

    modules: Mapping[str, nn.Module]
    step: Step
    average: Average | None
    guard: Guard
    index: int = 0
    seconds: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    scored: int = -1
    best: dict[str, Any] | None = None

    def contents(self, config: Mapping[str, Any]) -> Contents:
        """What a checkpoint holds; every process must call this alike."""
        tensors: dict[str, Mapping[str, Tensor]] = {}
        for name, module in self.modules.items():
            tensors[f"weights.{name}"] = {key: whole(value) for key, value in module.state_dict().items()}
        for name, average in self.average.tensors.items() if self.average else ():
            tensors[f"average.{name}"] = {key: whole(value) for key, value in average.items()}
        for name, optimizer in self.step.optimizers.items():
            tensors[f"optimizer.{name}"] = _flatten(optimizer, self._names())
        numbers = {
            "step": self.index, "seconds": self.seconds, "scores": self.scores, "scored": self.scored,
            "best": self.best, "guard": self.guard.state(), "running": self.step.running(), "config": config,
        }  # fmt: skip
        return Contents(tensors, numbers)

    def restore(self, contents: Contents) -> None:
        """Become the run that wrote a checkpoint.

        Raises:
            TrainingError: if networks or optimisers differ from those that were saved.
        """
        numbers = contents.state
        try:
            for name, module in self.modules.items():
                _fill(module.state_dict(), contents.tensors[f"weights.{name}"], f"weights of {name}")
            for name, average in self.average.tensors.items() if self.average else ():
                saved = contents.tensors.get(f"average.{name}")
                # A run that kept no average before starts one from the weights.
                source = saved if saved is not None else dict(self.modules[name].named_parameters())
                _fill(average, {key: source[key] for key in average}, f"average of {name}")
            for name, optimizer in self.step.optimizers.items():
                _unflatten(optimizer, self._names(), contents.tensors[f"optimizer.{name}"], name)
            self.index, self.seconds = numbers["step"], numbers["seconds"]
            self.scores, self.scored, self.best = dict(numbers["scores"]), numbers["scored"], numbers["best"]
            self.guard.restore(numbers["guard"])
            self.step.restore_running(numbers["running"])
        except KeyError as error:
            raise TrainingError(
                f"the checkpoint holds no {error}: it belongs to another configuration; choose another folder"
            ) from error

    def _names(self) -> dict[int, str]:
        """Names of parameters by identity."""
        return {
            id(parameter): f"{module_name}.{name}"
            for module_name, module in self.modules.items()
            for name, parameter in module.named_parameters()
        }


def _fill(targets: Mapping[str, Tensor], values: Mapping[str, Tensor], what: str) -> None:
    """Copy tensors by name, all of them and no others."""
    missing, spare = sorted(targets.keys() - values.keys()), sorted(values.keys() - targets.keys())
    if missing or spare:
        raise TrainingError(
            f"{what}: the checkpoint lacks {missing[:3] or 'nothing'} and has {spare[:3] or 'nothing'} too many; "
            "it belongs to another configuration"
        )
    for key, target in targets.items():
        assign(target, values[key])


def _flatten(optimizer: Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """The state of an optimiser as `parameter:key → tensor`; plain numbers become tensors under `parameter:key#`."""
    result = {}
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            name = f"{names[id(parameter)]}:{key}"
            if isinstance(value, Tensor):
                result[name] = whole(value)
            elif isinstance(value, int | float):
                result[f"{name}#"] = torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
            elif value is not None:
                raise TrainingError(f"optimiser state {name} is a {type(value).__name__}; only tensors can be saved")
    return result


def _unflatten(optimizer: Optimizer, names: Mapping[int, str], tensors: Mapping[str, Tensor], what: str) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    places = {names[id(parameter)]: number for number, parameter in enumerate(parameters)}
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        owner, _, key = name.rpartition(":")
        if owner not in places:
            raise TrainingError(f"optimiser {what}: the checkpoint has state for {owner}, which is not trained here")
        parameter = parameters[places[owner]]
        if value.shape == parameter.shape:
            # Laid out in memory, and sharded, as the weight is: arithmetic on it must go the same way as before.
            like = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False)
            assign(like, value)
            value = like
        state.setdefault(places[owner], {})[key.rstrip("#")] = value.item() if key.endswith("#") else value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
