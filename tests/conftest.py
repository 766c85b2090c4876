"""What holds for every test."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # `make test &`: a script's job ignores it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the runs under test do not
