"""The learning rate over a budget: linear warm-up, a plateau, then cosine, linear or no decay.

Warm-up is counted in steps, all else in the share of the budget spent, so one formula serves budgets in steps and in
minutes. With f the share spent, h the share held and p = (f − h)/(1 − h) clipped to [0, 1]:

    cosine:   final + (1 − final) · (1 + cos πp)/2          linear:   1 − (1 − final) · p
"""

__all__ = ["rate_factor"]

import math

from workbench.fit.engine.settings import Run


def rate_factor(run: Run, *, step: int, fraction: float) -> float:
    """The factor on every learning rate.

    Args:
        run: The settings.
        step: Steps done so far.
        fraction: Share of the budget spent, in [0, 1].

    Example:
        >>> rate_factor(Run(steps=100, warmup_steps=0, final=0.0), step=50, fraction=0.5)
        0.5
    """
    progress = min(max((fraction - run.hold) / (1 - run.hold), 0.0), 1.0)
    if run.schedule == "cosine":
        decay = run.final + (1 - run.final) * (1 + math.cos(math.pi * progress)) / 2
    elif run.schedule == "linear":
        decay = 1 - (1 - run.final) * progress
    else:
        decay = 1.0
    if step >= run.warmup_steps:
        return decay
    return decay * (run.warmup_from + (1 - run.warmup_from) * step / run.warmup_steps)
