"""Resume is replay: a fresh optimizer is fed the log and must ask for the same trials."""

from experiments.running.events import Ask, Drifted, Evaluated
from experiments.running.run_log import RunLog
from objectives.trial import Trial
from optimizers.optimizer import Optimizer


def replay(optimizer: Optimizer, log: RunLog) -> None:
    """Replay the log to a fresh optimizer, in the logged order of asks and tells.

    The optimizer should ask for the same trials as before. If it does not (because of another
    BLAS or another library version), it is told the logged trials, and the log records a `drift`
    event.
    """
    drift: Drifted | None = None
    history = log.history
    for event in history.events:
        if isinstance(event, Ask):
            asked = optimizer.ask(event.n)
            logged = [history.trials[trial.id] for trial in event.trials]
            if drift is None and asked != logged:
                drift = _drift(asked, logged)
            known = {trial.id for trial in logged}
            for trial in asked:
                if trial.id not in known:
                    optimizer.refuse(trial)
            optimizer.skip(max(known, default=-1))
        elif isinstance(event, Evaluated):
            optimizer.tell(history.trials[event.id], history.evaluations[event.id])
    if drift is not None and drift not in history.drifts():
        log.append(drift)


def _drift(asked: list[Trial], logged: list[Trial]) -> Drifted:
    """Return the event that describes the first trial that differs."""
    pairs = zip(asked, logged, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(asked), len(logged)))
    return Drifted(
        [trial.to_json() for trial in asked[place : place + 1]],
        [trial.to_json() for trial in logged[place : place + 1]],
    )
