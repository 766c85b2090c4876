"""The learning rate over the steps, for both routes.

Linear warm-up, then a constant rate or half a cosine to the lowest one. A training cut short is
the beginning of the whole schedule, so the whole number of steps has to be known to it.
"""

import math

SCHEDULES = ("constant", "cosine")
# Flags of `launch.py` beside those of LitGPT, which has one schedule, of the steps that are made.
SCHEDULE_STEPS = "--tuneoff_schedule_steps"
SCHEDULE = "--tuneoff_schedule"
MIN_LR = "--tuneoff_min_lr"


def after_warmup(schedule: str, done: float, peak: float, min_lr: float) -> float:
    """Return the learning rate after warm-up.

    Args:
        schedule: one of `SCHEDULES`.
        done: share of the steps after warm-up that are made, in [0, 1].
        peak: the highest rate.
        min_lr: the rate that the cosine ends at, unless the peak is below it.
    """
    if schedule == "constant":
        return peak
    lowest = min(min_lr, peak)
    return lowest + (peak - lowest) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
