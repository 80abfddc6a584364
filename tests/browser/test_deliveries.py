"""Deliveries: found, read and acted on by what is written on the screens."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, expect

from customers.models import Customer, Store
from events.models import Delivery, Subscription
from events.sending import deliver
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.visitor import Visitor
from tests.factories import give_coins, make_customer, make_integration, make_subscription
from tests.receiver import Answer, Receiver

LIST = "/admin/events/delivery/"


@pytest.fixture
def send_event(store: Store) -> Subscription:
    return make_subscription(make_integration(store, name="Mailer"))


@pytest.fixture
def pending(customer: Customer, send_event: Subscription) -> list[Delivery]:
    """Three of Ada's, one of Eve's; nobody sends."""
    for coins in (5, 6, 7):
        give_coins(customer, coins)
    give_coins(make_customer(customer.store, name="Eve", email="eve@example.com"), 8)
    return list(Delivery.objects.order_by("id"))


def page(delivery: Delivery) -> str:
    return f"{LIST}{delivery.pk}/change/"


def rows(visitor: Visitor) -> Locator:
    return visitor.page.locator("main tbody").get_by_role("row")


class TestList:
    def test_each_filter_narrows_it(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        for label, option, everywhere in (
            ("Status", "Held", "Held"),
            ("Status", "Retrying", "Retrying"),
            ("Event", "Coupon Is Created", "Coupon Is Created"),
            ("Integration", "Till", "coupon_create → Till"),
            ("Send event", "app_big_reward → Shop app", "app_big_reward → Shop app"),
        ):
            visitor.open(LIST)
            visitor.choose(label, option)
            visitor.click("Narrow")
            visitor.page.wait_for_url("**?*")
            expect(visitor.page.get_by_role("link", name="Show all")).to_be_visible()
            shown = rows(visitor).all_inner_texts()
            assert shown, option
            assert [text for text in shown if everywhere not in text] == []
        visitor.open(LIST)
        visitor.choose("Test or real", "Test events")
        visitor.choose("Time", "Last hour")
        visitor.click("Narrow")
        assert visitor.sees("No delivery matches.")
        assert visitor.complaints == []

    def test_a_customer_is_found_by_e_mail(self, editor: User, pending: list[Delivery], browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(LIST)
        expect(rows(visitor)).to_have_count(4)
        visitor.fill("Customer, delivery or event", "EVE@example.com")
        visitor.click("Narrow")
        expect(rows(visitor)).to_have_count(1)
        expect(rows(visitor)).to_contain_text("Eve")
        visitor.fill("Customer, delivery or event", str(pending[0].pk))
        visitor.click("Narrow")
        expect(rows(visitor)).to_contain_text("Ada")

    def test_and_by_their_own_id_or_that_of_an_event(
        self, editor: User, customer: Customer, pending: list[Delivery], browse: Browse
    ) -> None:
        customer.external_id = "C-1001"
        customer.save()
        visitor = browse(editor)
        visitor.open(LIST)
        for text, many in (("C-1001", 3), ("C-100", 0), (str(pending[3].occurrence.event_id), 1)):
            visitor.fill("Customer, delivery or event", text)
            visitor.click("Narrow")
            expect(visitor.page.get_by_label("Customer, delivery or event")).to_have_value(text)
            expect(rows(visitor)).to_have_count(many)


class TestPage:
    def test_its_tries_with_request_and_answer(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"{LIST}?status=failed")
        visitor.page.get_by_role("link", name=re.compile("→ Shop app")).first.click()
        assert visitor.sees("Webhook refused it (answer 422).")
        assert visitor.sees("Try 1: failed")
        assert visitor.sees("What was sent")
        assert visitor.sees("No customer 1007.")
        assert "c2VjcmV0" not in visitor.page.content()

    def test_what_came_from_outside_is_only_text(
        self, store: Store, customer: Customer, editor: User, receiver: Receiver, browse: Browse
    ) -> None:
        nasty = b'{"error":"<script>alert(1)</script>","list":[{"b":"<b>bold</b>"}]}'
        receiver.next.append(Answer(422, {"Content-Type": "application/json", "X-Said": "<i>slanted</i>"}, nasty))
        values = {"url": receiver.url, "signing_secret": "whsec_" + "c2VjcmV0" * 4, "headers": ""}
        make_subscription(make_integration(store, name="Mailer", values=values))
        give_coins(customer, 5, title="<b>Thanks</b>")
        deliver()
        visitor = browse(editor)
        visitor.open(page(Delivery.objects.get()))
        assert visitor.sees("<script>alert(1)</script>")
        visitor.page.get_by_text("1 field").last.click()  # it is folded
        assert visitor.sees("<b>bold</b>")
        assert visitor.sees("<b>Thanks</b>")
        visitor.page.get_by_text("Headers").last.click()
        assert visitor.sees("<i>slanted</i>")
        assert visitor.complaints == []

    def test_when_the_next_try_is(self, demo: Demo, browse: Browse) -> None:
        visitor = browse(demo.owner)
        visitor.open(f"{LIST}{demo.deliveries['retrying']}/change/")
        assert visitor.sees("The next try is at")
        assert visitor.sees("Try 1: to be tried again")

    def test_cancelled_then_sent_again(self, editor: User, pending: list[Delivery], browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(page(pending[0]))
        visitor.click("Cancel")
        assert visitor.sees("It was cancelled: it will not be sent.")
        visitor.click("Send again")
        assert visitor.sees("It will be sent again now, under the same id.")
        pending[0].refresh_from_db()
        assert pending[0].status == "pending"


class TestTogether:
    def test_the_count_is_said_first(self, editor: User, pending: list[Delivery], browse: Browse) -> None:
        visitor = browse(editor)
        visitor.open(LIST)
        visitor.fill("Customer, delivery or event", "ada@example.com")
        visitor.click("Narrow")
        expect(rows(visitor)).to_have_count(3)
        visitor.choose("Which deliveries", "All that match (3)")
        visitor.click("Cancel …")
        assert visitor.sees("Cancel 3 deliveries?")
        assert not Delivery.objects.filter(status="cancelled").exists(), "not before it was confirmed"
        visitor.click("Cancel 3 deliveries")
        assert visitor.sees("3 deliveries cancelled: they will not be sent.")
        assert Delivery.objects.filter(status="cancelled").count() == 3


class TestWhoMay:
    def test_a_viewer_only_reads(self, viewer: User, pending: list[Delivery], browse: Browse) -> None:
        visitor = browse(viewer)
        for address in (LIST, page(pending[0])):
            visitor.open(address)
            assert visitor.sees("Ada")
            buttons = visitor.page.get_by_role("main").get_by_role("button").all_inner_texts()
            assert [text for text in buttons if text != "Narrow"] == []

    def test_another_store_cannot_reach_it(self, stranger: User, pending: list[Delivery], browse: Browse) -> None:
        visitor = browse(stranger)
        visitor.open(page(pending[0]))
        assert visitor.sees("There is no such delivery in this store.")
        assert "Mailer" not in visitor.text()
