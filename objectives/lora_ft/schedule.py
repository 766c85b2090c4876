"""The learning rate as a function of the step, for both routes.

The schedule is a linear warm-up and then a constant rate or half a cosine to the lowest rate. A
shortened training is the beginning of the whole schedule, so it has to know the total number of
steps.
"""

import math

SCHEDULES = ("constant", "cosine")
# Flags that `launch.py` adds, because LitGPT's only schedule is over the steps that it makes.
SCHEDULE_STEPS = "--tuneoff_schedule_steps"
SCHEDULE = "--tuneoff_schedule"
MIN_LR = "--tuneoff_min_lr"


def after_warmup(schedule: str, done: float, peak: float, min_lr: float) -> float:
    """Return the learning rate after warm-up.

    Args:
        schedule: one of `SCHEDULES`.
        done: share of the steps after warm-up that are done, in [0, 1].
        peak: the highest rate.
        min_lr: the final rate of the cosine, unless the peak is below it.
    """
    if schedule == "constant":
        return peak
    lowest = min(min_lr, peak)
    return lowest + (peak - lowest) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
