"""Download a model from the Hugging Face Hub before any timing starts.

Otherwise the first configuration would be charged for the download, and the download of some
hundred GB would exceed the time limit of the start-up. The download runs on the server's machine,
with the Python of the server's environment, into the cache that the server reads.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from objectives import child
from objectives.serving.grades import SetUpError
from objectives.serving.host.launcher import Launcher
from objectives.serving.host.secrets import cleared

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PROGRAM = (
    "import sys\n"
    "try:\n"
    "    from huggingface_hub import snapshot_download\n"
    "except ImportError:\n"
    "    sys.exit(0)\n"  # then the server downloads the model itself
    "skip = ['original/*', '*.pth', '*.h5', '*.msgpack', '*.onnx', '*.gguf']\n"
    "snapshot_download(sys.argv[1], ignore_patterns=skip)\n"
)
_ELSEWHERE = ("HF_HUB_OFFLINE", "VLLM_USE_MODELSCOPE", "SGLANG_USE_MODELSCOPE")
_LONGEST_S = 6 * 3600.0
_SAY_S = 60.0
_POLL_S = 0.1


def is_hub_name(model: str, is_local: bool) -> bool:
    """Return whether a model is a name on the Hub and not a local folder."""
    return _NAME.fullmatch(model) is not None and not (is_local and Path(model).exists())


def download(
    launcher: Launcher,
    python: str | None,
    model: str,
    environment: Mapping[str, str],
    engine: str,
) -> None:
    """Download a model to the server's machine; return when the download is complete.

    Args:
        launcher: the launcher of the server.
        python: the Python of the server's environment; if None, nothing is downloaded.
        model: the model's name on the Hub.
        environment: the environment variables of the server.
        engine: the engine's name for messages.

    Raises:
        SetUpError: the model cannot be downloaded.
    """
    elsewhere = {**os.environ, **environment}
    if python is None or any(elsewhere.get(name, "0") not in ("", "0") for name in _ELSEWHERE):
        return
    launch = launcher.launch([python, "-c", _PROGRAM, model], environment, None)
    with tempfile.TemporaryDirectory(prefix="tuneoff-download-") as name:
        folder = Path(name)
        process = child.start(
            launch.command,
            folder=folder,
            output=folder / "output.txt",
            environment={**os.environ, **launch.environment},
        )
        try:
            _wait(process, f"{engine}: downloading {model} on {launcher.name}")
        finally:
            child.end(process, grace_s=2.0)
        if process.returncode != 0:
            said = cleared(child.tail(folder / "output.txt"))
            raise SetUpError(
                f"objective.engine.model: expected to download {model} on {launcher.name}, got: "
                f"{said}"
            )


def _wait(process: "subprocess.Popen[bytes]", what: str) -> None:
    """Wait for a download; report its progress after a moment and then once a minute."""
    started = time.monotonic()
    due = 2.0
    while process.poll() is None and time.monotonic() < started + _LONGEST_S:
        time.sleep(_POLL_S)
        elapsed = time.monotonic() - started
        if elapsed > due:
            print(f"{what}, before timing starts ({elapsed:.0f} s)", file=sys.stderr, flush=True)
            due += _SAY_S
