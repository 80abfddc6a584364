"""A person at a screen: finds things by what is written there, and counts what she has to do."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

GRAVE = {"serious", "critical"}  # axe's impacts that no screen may have
ASKED: dict[str, Any] = {"preload": False, "resultTypes": ["violations"]}  # what is well is many times as much


def look(width: int, *, dark: bool) -> Any:
    """How somebody looks at a screen: the width of the window in pixels, and whether by night."""
    return pytest.param(width, dark, id=f"{width}-{'dark' if dark else 'light'}")


LOOKS = [look(1280, dark=False), look(390, dark=True)]  # both widths and both colours, in two rounds
looks = pytest.mark.parametrize(("width", "dark"), LOOKS)


class Visitor:
    """One browser window. `steps` counts clicks and filled fields."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.steps = 0
        self.complaints: list[str] = []  # what the browser's console said: errors, and what the CSP refused
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        """Type an address (no step of hers)."""
        answer = self.page.goto(self.address + path)
        assert answer is not None
        assert answer.ok, f"{path} answered {answer.status}"

    def click(self, words: str, *, inside: Locator | None = None) -> None:
        """The first link or button with exactly these words."""
        self.steps += 1
        place = inside or self.page
        exactly = re.compile(rf"^\s*{re.escape(words)}\s*$")
        link, button = place.get_by_role("link", name=exactly), place.get_by_role("button", name=exactly)
        link.or_(button).first.click()

    def fill(self, label: str, text: str) -> None:
        """The field with this label."""
        self.steps += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, option: str) -> None:
        """An option of the list with this label."""
        self.steps += 1
        self.page.get_by_label(label, exact=True).select_option(label=option)

    def tick(self, label: str) -> None:
        """A box or a choice with this label."""
        self.steps += 1
        self.page.get_by_label(label, exact=True).check()

    def sees(self, words: str) -> bool:
        """Whether these words can be read on the screen, once it has settled."""
        self.page.get_by_text(words).first.wait_for()
        return True

    def text(self) -> str:
        """All that can be read in the main part."""
        return self.page.locator("main").inner_text()


def grave_faults(page: Page) -> list[str]:
    """What axe-core finds on this screen that would keep somebody out: its rule and the first places."""
    found: list[dict[str, Any]] = Axe().run(page, options=ASKED).response["violations"]
    return [
        f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in GRAVE
    ]
