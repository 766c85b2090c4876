"""`python -m experiments` is `tuneoff`."""

from experiments.entry import start

if __name__ == "__main__":
    start()
