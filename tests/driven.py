"""A page in headless Chromium, driven by Playwright: keys, clicks, media, printing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

from browser import browser

READY = "body[data-ready]"
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser(), args=_FLAGS)
        yield started
        started.close()


@contextmanager
def driven(
    started: Browser, page: Path, scheme: Literal["light", "dark"] = "light", width: int = 1280
) -> Iterator[Page]:
    """Open a page from disk, without network; fail if a script of it raises an error."""
    errors: list[Any] = []
    context = started.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True
    )
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: errors.append(error))
    opened.goto(page.as_uri())
    opened.wait_for_selector(READY)
    yield opened
    context.close()
    assert errors == []
