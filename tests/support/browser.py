"""Debian's Chromium as a person uses it, driven by Playwright; what it complains of, what axe-core finds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

Scheme = Literal["light", "dark"]

WAITS_MS = 15_000
"""For whatever a page is to show."""
WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
README_SCREENSHOTS = os.environ.get("VIPEX_SCREENSHOTS", "")
"""Where those that the README shows are put besides; nowhere unless it is set."""
MOST_SHOWN_BYTES = 150_000
_AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, without a window; raises RuntimeError when there is none."""
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("there is no chromium: run tests/pbx/setup.sh")
    expect.set_options(timeout=WAITS_MS)
    with sync_playwright() as playwright:
        # Root may not use Chromium's own sandbox; what it shows here is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Reader:
    """Somebody before a page. `complaints` is what the browser said of it: errors, refused sources."""

    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def opens(self, path: str) -> Page:
        """Goes to a path of the console."""
        self.page.goto(path)
        return self.page

    def looks_from(self, width: str, scheme: Scheme = "light") -> None:
        """On the phone or at the desk, by day or by night; the page stays as it is."""
        wide, high = WIDTHS[width]
        self.page.set_viewport_size({"width": wide, "height": high})
        self.page.emulate_media(color_scheme=scheme)

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds wrong with the page: a rule, what it asks, and where; of `rules`, or of all."""
        # By the debugger's way in, which the page's Content-Security-Policy leaves open.
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(_AXE)
        asked = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": _RULES}
        found = self.page.evaluate(
            "asked => axe.run(document, {runOnly: asked, resultTypes: ['violations']})", asked
        )
        return [
            f"{fault['id']}: {fault['help']}: {', '.join(str(node['target']) for node in fault['nodes'])}"
            for fault in found["violations"]
        ]

    def overflow_px(self) -> int:
        """By how much the page is wider than the window."""
        return int(self.page.evaluate("(e => e.scrollWidth - e.clientWidth)(document.documentElement)"))

    def colliding_texts(self) -> list[str]:
        """Pairs of texts in drawings that lie over each other, and texts that are cut at a drawing's edge."""
        return [str(pair) for pair in self.page.evaluate(_COLLIDING)]

    def walks(self, most: int = 400) -> list[dict[str, Any]]:
        """Goes through the page with Tab until its end: each stop's name, and whether one sees the focus."""
        stops: list[dict[str, Any]] = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            stop = self.page.evaluate(_FOCUS)
            if stop is None:
                return stops
            # A field for a date, or a player, has several stops of its own.
            if not stops or stop["place"] != stops[-1]["place"]:
                stops.append(stop)
        raise AssertionError(f"no end after {most} stops")

    def reachable(self) -> set[int]:
        """The places in the page of all that can be operated and is seen."""
        return set(self.page.evaluate(_OPERABLE))

    def keeps(self, name: str) -> None:
        """Writes a picture of the whole page."""
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def shows(self, name: str, height: int) -> None:
        """Writes a picture of the window's upper part, for the README: there too, where it is asked for."""
        path = SCREENSHOTS / "readme" / f"{name}.png"
        wide = self.page.evaluate("innerWidth")
        size = len(self.page.screenshot(path=path, clip={"x": 0, "y": 0, "width": wide, "height": height}))
        assert size < MOST_SHOWN_BYTES, f"{path} has {size} bytes"
        if README_SCREENSHOTS:
            shutil.copy(path, README_SCREENSHOTS)


def reader(browser: Browser, url: str, language: str, state: StorageState | None = None) -> Reader:
    """A reader whose browser asks for `language`; `state`: somebody's who is logged in already."""
    context = browser.new_context(base_url=url, locale=language, storage_state=state)
    context.set_default_timeout(WAITS_MS)
    page = context.new_page()
    found = Reader(context, page)

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.complaints.append(f"{message.text} ({message.location['url']})")

    page.on("console", said)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    return found


_PLACE = "[...document.querySelectorAll('*')].indexOf(%s)"
_FOCUS = f"""() => {{
  const e = document.activeElement;
  if (!e || e === document.body || e === document.documentElement) return null;
  const s = getComputedStyle(e), box = e.getBoundingClientRect();
  return {{
    place: {_PLACE % "e"},
    name: (e.getAttribute('aria-label') || e.innerText || e.id || e.tagName).trim(),
    isSeen: (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 || e.tagName === 'AUDIO')
      && box.width > 0 && box.height > 0
      && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  }};
}}"""
_OPERABLE = f"""() => [...document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, summary, audio, [tabindex="0"]'
)].filter(e => e.checkVisibility()).map(e => {_PLACE % "e"})"""
_COLLIDING = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([text, box], place) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1)
        found.push(`${text} is cut`);
      for (const [other, its] of texts.slice(place + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > 1 && high > 3) found.push(`${text} lies over ${other}`);
      }
    });
  }
  return found;
}"""
