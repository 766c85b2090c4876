"""Open a page in headless Chromium, from disk, without network."""

import re
import shutil
import subprocess
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=60000", "--allow-file-access-from-files", "--dump-dom",
]  # fmt: skip
_WATCH = """<script>
addEventListener("error", (e) => { document.documentElement.dataset.errors =
  (document.documentElement.dataset.errors || "") + e.message + ";"; });
</script>"""


def browser() -> str:
    """Return the browser's path.

    Raises:
        AssertionError: no browser is installed.
    """
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    assert found, "browser: expected chromium, got none; run: make browser (or install chromium)"
    return found


def opened(page: Path, folder: Path, script: str = "", width: int = 1280) -> str:
    """Return the document of a page after all its scripts, and then `script`, have run.

    The attribute `data-errors` of the root contains the errors of all scripts.
    """
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{_WATCH}", 1)
    then = f"""<script>(function wait() {{
      if (!document.body.dataset.ready) return setTimeout(wait, 20);
      {script}
    }})();</script>"""
    end = text.rindex("</body>")
    copy = folder / "opened.html"
    copy.write_text(text[:end] + then + text[end:], encoding="utf-8")
    size = f"--window-size={width},900"
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [browser(), *_FLAGS, size, profile, copy.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    return done.stdout


def root(document: str) -> str:
    """Return the start tag of the document's root, in which scripts store their results."""
    found = re.search(r"<html[^>]*>", document)
    assert found
    return found[0]
