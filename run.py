"""Run one optimizer on one objective: `python run.py optimizer=soo objective=branin budget=50`.

The same as `tuneoff run`; `python run.py --help` lists what can be set. The same command resumes a
run that was stopped.
"""

import sys

from experiments.entry import start

if __name__ == "__main__":
    start(["run", *sys.argv[1:]])
