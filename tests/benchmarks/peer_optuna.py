"""Random search on Branin by Optuna's own loop, resumable as in its documentation.

python peer_optuna.py STORAGE RUNS EVALUATIONS

STORAGE is `memory`, or a file that ends in .db (SQLite) or .journal. There is one study per seed.
"""

import sys
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from peer_branin import BOUNDS, branin


def objective(trial: Any) -> float:
    return branin(*(trial.suggest_float(name, *ends) for name, ends in BOUNDS.items()))


def main(where: str, runs: int, evaluations: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage: Any = None
    if where.endswith(".db"):
        storage = f"sqlite:///{where}"
    elif where.endswith(".journal"):
        storage = JournalStorage(JournalFileBackend(where))
    for seed in range(runs):
        study = optuna.create_study(
            storage=storage,
            study_name=f"seed {seed}",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < evaluations:
            enough = MaxTrialsCallback(evaluations, states=(TrialState.COMPLETE,))
            study.optimize(objective, callbacks=[enough])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
