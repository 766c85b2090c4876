"""`python -m experiments` is `tuneoff`."""

import sys

if __name__ == "__main__":
    try:
        from experiments.entry import start
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    start()
