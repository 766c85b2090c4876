"""Pass secrets such as HF_TOKEN to the server, and keep them out of every log.

Secrets are taken from the environment of our own command. Settings are written into the log, so a
setting that holds a secret is refused. Secret values are removed from a server's output.
"""

import os
import re
from collections.abc import Iterable, Mapping

from objectives.serving.host.tether import SECRETS

_NAME = re.compile(
    r"(^|_)(token|passwd|pwd|credentials?|(api|access|private)_?key)$|secret|password|bearer",
    re.IGNORECASE,
)
_FLAG = re.compile(r"--(hf-token|api-key|admin-api-key|auth-token)\b", re.IGNORECASE)
_VALUE = re.compile(r"\bhf_[A-Za-z0-9]{16,}")
_SHORTEST = 8  # characters; removing a shorter value would remove ordinary words


def check_settings(where: str, environment: Mapping[str, object], flags: Iterable[object]) -> None:
    """Raise `ValueError`, without the value, if a setting holds a secret."""
    for name, value in environment.items():
        if _NAME.search(str(name)) or _VALUE.search(str(value)):
            raise ValueError(
                f"{where}.environment.{name}: expected no secret, as the log keeps the settings, "
                f"got one; set it in the environment of this command instead: {', '.join(SECRETS)} "
                "reach the server wherever it runs"
            )
    for flag in map(str, flags):
        if _FLAG.match(flag) or _VALUE.search(flag):
            name = flag.partition("=")[0] if _FLAG.match(flag) else "a flag"
            raise ValueError(
                f"{where}.flags: expected no secret, as the log keeps the settings, got {name}; "
                "set HF_TOKEN in the environment of this command instead"
            )


def cleared(text: str) -> str:
    """Return a text with the values of secrets removed."""
    for name, value in os.environ.items():
        if (name in SECRETS or _NAME.search(name)) and len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return _VALUE.sub("***", text)
