"""A browser for the tests of screens: Debian's Chromium, one for each process of the run."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, expect, sync_playwright

from customers.models import Customer, Store
from integrations.models import Integration
from tests.browser.demo import Demo
from tests.browser.history import coffee_shop
from tests.browser.visitor import Visitor
from tests.factories import give_coins, make_integration

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Playwright's own loop runs in the tests' thread, and Django would refuse to touch the database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
PATIENCE = 30_000  # ms: a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE)
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

Browse = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here needs Chromium and rows that a server's threads can see."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def browse(browser: Browser, live_server: Any) -> Iterator[Browse]:
    """A window in which this user has signed in: `browse(editor, width=390, dark=True)`."""
    contexts = []

    def window(user: User | None = None, *, width: int = 1280, dark: bool = False, javascript: bool = True) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if user is not None:
            client = Client()
            client.force_login(user)
            context.add_cookies(
                [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
            )
        return Visitor(context.new_page(), live_server.url)

    yield window
    for context in contexts:
        context.close()


@pytest.fixture
def demo(transactional_db: None, settings: Any) -> Iterator[Demo]:
    """A store with a history, whose tools answer."""
    with coffee_shop(settings) as made:
        yield made


@pytest.fixture
def webhook(store: Store) -> Integration:
    return make_integration(store, name="Mailer")


@pytest.fixture
def ada(customer: Customer) -> Customer:
    """Ada, who got 120 coins."""
    give_coins(customer, 120)
    return customer
