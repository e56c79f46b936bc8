"""Bad batches: a gradient that is not finite, or far larger than usual, must not reach the optimiser.

The usual size is a running mean of log gradient norms, one for each optimiser. A spike enters the mean clipped to the
threshold, so that a lasting change of scale (a new loss term) is accepted after a few refusals. Strikes are a leaky
count: a bad batch adds one, a good one takes a hundredth away; a run with more than it may have is ill and stops.
"""

__all__ = ["Guard"]

import math
from dataclasses import asdict, dataclass, field
from typing import Any

_TRIAL = 50  # good norms before spikes are judged
_MEMORY = 0.98  # weight of the past in the running mean
_LEAK = 0.01  # strikes taken back by a good batch


@dataclass
class Guard:
    """Judges gradient norms; its state goes into the checkpoint.

    Attributes:
        spike: A norm this many times the usual is bad; None accepts every finite norm.
        skipped: Bad batches so far.
        strikes: The leaky count.
        usual: Mean log norm for each optimiser.
        seen: Good norms for each optimiser.
    """

    spike: float | None
    skipped: int = 0
    strikes: float = 0.0
    usual: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def admits(self, name: str, norm: float) -> bool:
        """Whether the optimiser `name` may take a step with a gradient of this norm."""
        seen = self.seen.get(name, 0)
        usual = self.usual.get(name, 0.0)
        good = math.isfinite(norm)
        if good and norm > 0:
            log_norm = math.log(norm)
            if self.spike is not None and seen >= _TRIAL and log_norm > usual + math.log(self.spike):
                good, log_norm = False, usual + math.log(self.spike)
            memory = min(_MEMORY, seen / (seen + 1))
            self.usual[name] = memory * usual + (1 - memory) * log_norm
        if good:
            self.seen[name] = seen + 1
            self.strikes = max(0.0, self.strikes - _LEAK)
        else:
            self.skipped += 1
            self.strikes += 1.0
        return good

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; the threshold stays that of this run."""
        self.skipped, self.strikes = state["skipped"], state["strikes"]
        self.usual, self.seen = dict(state["usual"]), dict(state["seen"])
