"""Run one optimizer on one objective: `python run.py optimizer=soo objective=branin budget=50`.

The same as `tuneoff run`; `python run.py --help` lists what can be set. The same command resumes a
run that was stopped.
"""

import sys

if __name__ == "__main__":
    try:
        from experiments.entry import start
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    start(["run", *sys.argv[1:]])
