"""`python -m experiments` is `tuneoff`."""

from experiments.command import start

if __name__ == "__main__":
    start()
