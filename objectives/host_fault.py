"""Faults for which no configuration is to blame."""


class HostFault(Exception):
    """The machine was at fault: a port was taken, other programs held the GPU's memory, and so on.

    An objective raises it from `evaluate`. It is no answer to the trial: the same trial is
    evaluated again, a bounded number of times, and no attempt of the optimizer is spent on it.
    """


class SetUpError(ValueError):
    """The set-up cannot work, whatever is tried: the default configuration fails.

    An objective raises it from `evaluate`. It ends the run with its one line; no trial is charged.
    """
