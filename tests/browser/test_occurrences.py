"""What happened: why each send event was (not) sent, what a restriction found, evaluating again; and a person's timeline."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator

from customers.models import Customer, Store
from events.models import Delivery, Occurrence, Subscription
from events.sending import deliver
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.visitor import Visitor
from tests.factories import give_coins, make_customer, make_integration, make_subscription
from tests.receiver import Answer, Receiver

LIST = "/admin/events/occurrence/"


def verdict(visitor: Visitor, label: str) -> Locator:
    heading = visitor.page.get_by_role("heading", name=label, exact=True)
    return visitor.page.get_by_role("article").filter(has=heading)


def words_of(place: Locator) -> str:
    return " ".join((place.text_content() or "").split())


@pytest.fixture
def every_verdict(store: Store, receiver: Receiver) -> Occurrence:
    """Ada, of whom no e-mail is known, got 50 coins: a send event for each thing that can become of it, named so."""
    answers = {"/failed": Answer(422, {"Content-Type": "application/json"}, b'{"error":"No such customer."}')}
    answers["/retrying"] = Answer(503)
    waits_for: list[Subscription] = []
    receiver.choose = lambda request: answers.get(request.path, Answer(200))

    def send_event(name: str, *restrictions: dict[str, Any], **fields: Any) -> Subscription:
        values = {"url": f"http://{receiver.host}/{name}", "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""}
        tool = make_integration(store, name=f"Tool {name}", values=values)
        return make_subscription(tool, "walletreward_create", *restrictions, name=name, **fields)

    def waits(name: str) -> Subscription:
        """Off while the others are sent."""
        waiting = send_event(name)
        waits_for.append(waiting)
        return waiting

    for name in ("sent", "failed", "retrying"):
        send_event(name)
    by_mail = make_integration(store, destination="klaviyo", name="Tool skipped", values={"host": "https://a.example"})
    make_subscription(by_mail, name="skipped")
    held, claimed, cancelled, gone = waits("held"), waits("sending"), waits("cancelled"), waits("gone")
    waits("pending")
    off = send_event("off", enabled=False)
    large = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
    not_matched = send_event("not_matched", large)

    give_coins(make_customer(store, name="Ada", email=None, mobile="+4915112345678"), 50)
    for one in waits_for:
        one.switch(on=False)
    deliver()
    for one in waits_for:
        one.switch(on=one != held)
    Delivery.objects.get(subscription=cancelled).cancel()
    Delivery.objects.filter(subscription=claimed).update(status="sending")  # as a worker's claim leaves it
    Delivery.objects.filter(subscription=gone).delete()  # as `manage.py prune` does
    # What they say since then is of no concern.
    off.switch(on=True)
    not_matched.restrictions = []
    not_matched.save()
    send_event("later")
    return Occurrence.objects.get(event_key="walletreward_create")


class TestWhy:
    def test_every_verdict_there_is(self, every_verdict: Occurrence, owner: User, browse: Browse) -> None:
        visitor = browse(owner)
        visitor.open(f"{LIST}{every_verdict.pk}/change/")
        assert visitor.sees("Why was it (not) sent?")
        told = {
            name: words_of(verdict(visitor, f"{name} → Tool {name}"))
            for name in (
                *("sent", "failed", "retrying", "skipped", "held", "sending", "cancelled", "pending"),
                *("off", "not_matched", "later", "gone"),
            )
        }
        for name, badge, sentence in (
            ("sent", "Sent", "It was accepted. It has no restrictions."),
            ("failed", "Failed", "Webhook refused it (answer 422). It said: No such customer."),
            ("retrying", "Retrying", "Webhook answered 503. Next try"),
            ("skipped", "Skipped", "The customer has no e-mail"),
            ("held", "Held", "The send event is off."),
            ("sending", "Sending", "It is being sent."),
            ("cancelled", "Cancelled", "Cancelled by an admin"),
            ("pending", "Pending", "It is waiting for its turn. Next try"),
            ("off", "Off", "The send event was off when it happened."),
            ("not_matched", "Not matched", "Its restrictions did not hold."),
            ("not_matched", "Not matched", "Does not hold: Coins is at least 100 (found: 50)"),
            ("later", "Made later", "The send event was made later."),
            ("gone", "No longer kept", "It matched. What became of it is no longer kept."),
        ):
            assert told[name].startswith(f"{name} → Tool {name} {badge} "), told[name]
            assert sentence in told[name]
        assert visitor.page.get_by_role("article").count() == len(told)
        assert visitor.complaints == []

    def test_what_was_imported_silently_says_so(self, customer: Customer, editor: User, browse: Browse) -> None:
        make_subscription(make_integration(customer.store, name="Mailer"))
        give_coins(customer, 50, silent=True)
        visitor = browse(editor)
        visitor.open(f"{LIST}{Occurrence.objects.get(event_key='walletreward_create').pk}/change/")
        told = words_of(verdict(visitor, "walletreward_create → Mailer"))
        assert "Imported silently It was imported silently: recorded, and not sent." in told

    def test_each_send_event_has_its_verdict(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"{LIST}{demo.reward.pk}/change/")
        for label, reading, said in (
            ("nector_walletreward_create → Klaviyo main account", "Sent", "It was accepted."),
            ("ledger_entry → Data warehouse", "Retrying", "Next try"),
            ("coins_earned → Newsletter", "Held", "Newsletter is off"),
            ("app_big_reward → Shop app", "Not matched", "Its restrictions did not hold."),
            ("app_big_reward → Shop app", "Not matched", "Does not hold: Coins is at least 100 (found: 55)"),
            ("app_big_reward → Shop app", "Not matched", "Holds: Wallet Transaction Types"),
        ):
            text = words_of(verdict(visitor, label))
            assert reading in text
            assert said in text
        assert visitor.complaints == []

    def test_what_could_not_be_evaluated_is_evaluated_again(
        self, editor: User, customer: Customer, browse: Browse
    ) -> None:
        make_subscription(make_integration(customer.store, name="Mailer"))
        give_coins(customer, 50)
        occurrence = Occurrence.objects.get(event_key="walletreward_create")
        occurrence.deliveries.all().delete()
        Occurrence.objects.filter(pk=occurrence.pk).update(error="walletreward_create: It could not be read.")
        visitor = browse(editor)
        visitor.open(LIST)
        visitor.choose("Kind", "Could not be evaluated")
        visitor.click("Narrow")
        visitor.click("Wallet Coins Rewarded")
        assert visitor.sees("Not all of it could be evaluated.")
        told = words_of(verdict(visitor, "walletreward_create → Mailer"))
        assert "Not evaluated It could not be evaluated. It could not be read." in told
        visitor.click("Evaluate again")
        assert visitor.sees("It was evaluated again: 1 delivery added.")
        assert occurrence.deliveries.count() == 1

    def test_a_viewer_reads_and_another_store_does_not(
        self, viewer: User, stranger: User, customer: Customer, browse: Browse
    ) -> None:
        give_coins(customer, 50)
        occurrence = Occurrence.objects.get(event_key="walletreward_create")
        Occurrence.objects.filter(pk=occurrence.pk).update(error="It could not be read.")
        address = f"{LIST}{occurrence.pk}/change/"
        visitor = browse(viewer)
        visitor.open(address)
        assert visitor.sees("Why was it (not) sent?")
        assert visitor.page.get_by_role("main").get_by_role("button").count() == 0
        elsewhere = browse(stranger)
        elsewhere.open(address)
        assert "Ada" not in elsewhere.text()


class TestTimeline:
    def test_what_happened_what_was_sent_and_why_not(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"/admin/customers/customer/{demo.customer.pk}/change/")
        visitor.click("Timeline")
        story: Any = visitor.page.get_by_role("region", name="Timeline")
        newest = story.get_by_role("listitem").first.inner_text()
        for words in ("Retrying", "Held", "Sent", "app_big_reward → Shop app", "found: 55"):
            assert words in newest
        assert "Webhook refused it (answer 422)." in story.inner_text()
        assert visitor.complaints == []

    def test_another_store_cannot_reach_it(self, stranger: User, customer: Customer, browse: Browse) -> None:
        visitor = browse(stranger)
        visitor.open(f"{LIST}customer/{customer.pk}/")
        assert visitor.sees("There is no such customer in this store.")
