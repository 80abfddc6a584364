"""What would be sent, and how often: shown beside the form of a send event, for what is entered there."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from customers.models import Customer
from events.models import Subscription
from integrations.models import Integration
from tests.browser.conftest import Browse
from tests.browser.test_send_event import ADD, EVENTS, preview
from tests.factories import give_coins, make_subscription


class TestPreview:
    def test_it_is_the_request_of_a_recent_event_with_secrets_masked(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        send_event = make_subscription(webhook)
        visitor = browse(editor)
        visitor.open(f"{EVENTS}{send_event.pk}/change/")
        shown = preview(visitor)
        expect(shown).to_contain_text("Made of a real event, about Ada")
        expect(shown).to_contain_text("POST https://receiver.example/events")
        expect(shown).to_contain_text('"user_email": "ada@example.com"')
        shown.get_by_text("Headers").click()
        expect(shown).to_contain_text("webhook-signature")
        expect(shown).not_to_contain_text("c2VjcmV0")

    def test_it_says_which_restriction_does_not_hold(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=walletreward_create")
        expect(preview(visitor)).to_contain_text("It would be sent: all restrictions hold for it.")
        visitor.fill("Coins", "500")
        expect(preview(visitor)).to_contain_text("This one would not be sent:")
        expect(preview(visitor)).to_contain_text("Coins is at least 500, but here it is 120.")

    def test_without_events_it_is_a_sample(
        self, editor: User, customer: Customer, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor)
        visitor.open(f"{ADD}?event=coupon_create")
        expect(preview(visitor)).to_contain_text("Made of a sample: no such event was recorded lately.")
        expect(preview(visitor)).to_contain_text('"user_name": "Ada"')

    def test_without_javascript_it_opens_for_what_was_entered(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse
    ) -> None:
        visitor = browse(editor, javascript=False)
        visitor.open(f"{ADD}?event=walletreward_create")
        visitor.fill("Name optional", "fresh")
        with visitor.page.context.expect_page() as opened:
            visitor.click("Show it for what I entered")
        expect(opened.value.get_by_text('"type": "fresh"')).to_be_visible()
        assert not Subscription.objects.exists()


class TestWouldHaveMatched:
    @pytest.mark.parametrize("javascript", [True, False])
    def test_it_counts_what_was_recorded_for_what_is_entered(
        self, editor: User, ada: Customer, webhook: Integration, browse: Browse, javascript: bool
    ) -> None:
        give_coins(ada, 5)
        visitor = browse(editor, javascript=javascript)
        visitor.open(f"{ADD}?event=walletreward_create")
        visitor.fill("Coins", "100")
        if javascript:
            visitor.click("How many would have matched?")
            assert visitor.sees("In the last 30 days 1 of 2 events.")
        else:
            with visitor.page.context.expect_page() as opened:
                visitor.click("How many would have matched?")
            expect(opened.value.get_by_text("In the last 30 days 1 of 2 events.")).to_be_visible()
