"""Home: what to do first, how it goes, and what needs somebody, each with the way there."""

import re

from django.contrib.auth.models import User

from customers.models import Store
from tests import factories
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.visitor import Visitor


def next_step(visitor: Visitor) -> str:
    return visitor.page.locator("li[aria-current=step]").inner_text().splitlines()[0]


class TestSetUp:
    def test_each_step_leads_to_its_place_and_is_ticked(self, store: Store, editor: User, browse: Browse) -> None:
        store.events_on = False
        store.save()
        visitor = browse(editor)
        visitor.open("/admin/")
        assert next_step(visitor) == "Connect an integration"
        visitor.click("Connect an integration")
        assert visitor.sees("Step 1 of 2: choose the tool")

        integration = factories.make_integration(store, name="Shop app", enabled=False)
        visitor.open("/admin/")
        assert next_step(visitor) == "Verify it, and switch it on"
        visitor.click("Go to Shop app")
        assert visitor.sees("It is off until its connection was verified.")

        integration.note_check(good=True, sentence="It works.")
        integration.switch_on()
        visitor.open("/admin/")
        assert next_step(visitor) == "Switch events on"
        visitor.click("Go to the switch")
        assert visitor.sees("Events are off")

        store.events_on = True
        store.save()
        visitor.open("/admin/")
        assert next_step(visitor) == "Create a send event"
        visitor.click("Create a send event")
        assert "Events" in visitor.page.get_by_role("link", name="Events", exact=True).first.inner_text()

        factories.make_subscription(integration)
        visitor.open("/admin/")
        assert next_step(visitor) == "Send a test"
        assert visitor.page.get_by_text(": done").count() == 4
        assert visitor.complaints == []

    def test_a_viewer_sees_how_far_it_is(self, store: Store, viewer: User, browse: Browse) -> None:
        visitor = browse(viewer)
        visitor.open("/admin/")
        assert next_step(visitor) == "Connect an integration"
        assert visitor.page.get_by_role("main").get_by_role("link").count() == 0


class TestRunning:
    def test_the_figures_can_be_read_without_the_picture(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open("/admin/")
        assert visitor.page.get_by_text("Set up in five steps").count() == 0, "it is done"
        picture = visitor.page.get_by_role("img", name="In the last 24 hours: ")
        said = picture.get_attribute("aria-label") or ""
        sent = said.split(": ")[1].split(" sent")[0]
        legend = visitor.page.get_by_role("figure").first
        assert legend.get_by_role("row", name=f"Sent {sent}").is_visible()
        visitor.page.get_by_text("Every hour in numbers").click()
        assert legend.get_by_role("rowheader").count() == 3 + 24
        month = visitor.page.get_by_role("figure").last
        assert month.get_by_role("img", name="In the last 30 days: ").is_visible()
        visitor.page.get_by_text("Every day in numbers").click()
        assert month.get_by_role("rowheader").count() == 3 + 30
        figures = visitor.page.locator("dl.lo-figures").inner_text()
        assert [word for word in ("Sent", "Held", "Failed", "Skipped") if word not in figures] == []
        table = visitor.page.get_by_role("region", name="Integrations in the last 24 hours")
        success_and_delay = r"Klaviyo main account.* On [\d,]+ 100 % under \d+ ms"
        assert table.get_by_role("row", name=re.compile(success_and_delay)).is_visible()
        assert table.get_by_role("row", name=re.compile("Till.* Held")).is_visible()

    def test_what_needs_attention_leads_to_its_cure(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open("/admin/")
        said = visitor.page.get_by_role("region", name="Needs attention").get_by_role("listitem").all_inner_texts()
        assert [sentence.splitlines()[0] for sentence in said] == [
            "The integration Old loyalty app was switched off: Webhook answered 410: it wants nothing more at this "
            "address. Its deliveries are held.",
            "Till is held: its credentials were refused.",
            "Newsletter is off: 11 deliveries wait for it.",
            "1 delivery failed in the last 24 hours.",
        ]
        for button, there in (
            ("Look at it", "It was switched off, because Webhook answered 410"),
            ("Check its settings", "Its credentials were refused"),
            ("Verify it", "It is off until its connection was verified."),
            ("See which", "Webhook refused it (answer 422)."),
        ):
            visitor.open("/admin/")
            visitor.click(button)
            assert visitor.sees(there)


class TestWithoutAStore:
    def test_a_user_is_told_whom_to_ask(self, store: Store, browse: Browse) -> None:
        visitor = browse(factories.make_user())
        visitor.open("/admin/")
        assert visitor.sees("You do not work in any store yet.")
        assert visitor.page.get_by_role("navigation", name="Main").count() == 0

    def test_a_superuser_is_told_how_to_make_one(self, superuser: User, browse: Browse) -> None:
        visitor = browse(superuser)
        visitor.open("/admin/")
        assert visitor.sees("There is no store yet.")


class TestOperators:
    def test_superusers_find_the_stock_pages_below(self, store: Store, superuser: User, browse: Browse) -> None:
        visitor = browse(superuser)
        visitor.open("/admin/")
        visitor.click("Background work: Scheduled tasks")
        assert visitor.sees("Select Scheduled task to change")

    def test_others_do_not(self, store: Store, owner: User, browse: Browse) -> None:
        visitor = browse(owner)
        visitor.open("/admin/")
        assert "For whoever runs this installation" not in visitor.text()
