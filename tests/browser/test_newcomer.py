"""The newcomer's way: from an empty store to a test event that the sandbox received, by what is written on the screens."""

from typing import Any

from django.contrib.auth.models import User

from customers.models import Store
from tests.browser.conftest import Browse
from tests.browser.demo import sandbox_receiver

MOST_STEPS = 40  # clicks and filled fields; 27 when this was written


def test_from_an_empty_store_to_a_test_event_received(store: Store, owner: User, browse: Browse, settings: Any) -> None:
    store.events_on = False
    store.save()
    with sandbox_receiver() as host:
        settings.SANDBOX, settings.SANDBOX_ADDRESS, settings.ALLOWED_PRIVATE_HOSTS = True, host, frozenset({host})
        visitor = browse(owner)
        visitor.open("/admin/")

        visitor.click("Connect an integration")
        visitor.click("Sandbox")
        visitor.fill("Name", "To try it out")
        visitor.click("Connect")
        visitor.click("Verify connection")
        assert visitor.sees("Sandbox accepted the connection (")
        visitor.click("Switch on")
        assert visitor.sees("To try it out is on.")

        visitor.click("Home")
        visitor.click("Go to the switch")
        visitor.click("Switch events on")
        assert visitor.sees("Events are on")

        visitor.click("Customers")
        visitor.click("Add customer")
        visitor.fill("Name:", "Ada")
        visitor.fill("E-mail:", "ada@example.com")
        visitor.click("Save")
        assert visitor.sees("was added successfully")

        visitor.click("Home")
        visitor.click("Create a send event")
        visitor.steps += 1
        visitor.page.get_by_role("link", name="Coins rewarded A customer").click()
        visitor.click("Save")
        assert visitor.sees("only credited rewards")

        visitor.click("Home")
        visitor.click("Choose a send event to test")
        visitor.tick("Choose coins_rewarded → To try it out")
        visitor.click("Send test event")
        visitor.fill("E-mail address or mobile number", "ada@example.com")
        visitor.click("Send it now")
        assert visitor.sees("To try it out accepted it in")

        visitor.page.keyboard.press("Escape")  # out of the dialog
        visitor.click("Integrations")
        visitor.click("To try it out")
        received = visitor.page.get_by_role("region", name="What it received")
        received.get_by_text("coins_rewarded", exact=True).first.wait_for()
        received.get_by_text('"Ada"').first.wait_for()

        visitor.click("Home")
        assert visitor.page.get_by_text("Set up in five steps").count() == 0, "all five are done"
        assert visitor.complaints == []
        assert visitor.steps <= MOST_STEPS
