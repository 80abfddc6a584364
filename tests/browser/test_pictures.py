"""Every screen, with a store that has a history: whole on a laptop and on a phone, by day and by night, for everybody.

`make screenshots` also saves them (SCREENSHOTS names the folder). A new screen is one line in SCREENS.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.switching import switch_off
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.palette import with_palette
from tests.browser.visitor import LOOKS, Visitor, grave_faults, look

# Name and address; in braces what the demo holds.
SCREENS = (
    ("home", "/admin/"),
    ("events", "/admin/events/subscription/"),
    ("events-basic", "/admin/events/subscription/basic/"),
    ("send-event-new", "/admin/events/subscription/add/"),
    ("send-event-recipe", "/admin/events/subscription/add/?recipe=coins_redeemed"),
    ("send-event-changes", "/admin/events/subscription/add/?event=order_update"),
    ("send-event", "/admin/events/subscription/{demo.big_reward.pk}/change/"),
    ("send-event-delete", "/admin/events/subscription/{demo.big_reward.pk}/delete/"),
    ("send-event-test", "/admin/events/subscription/test/?send_event={demo.big_reward.pk}"),
    ("send-event-history", "/admin/events/subscription/{demo.big_reward.pk}/history/"),
    ("several", "/admin/events/subscription/several/"),
    ("event-catalogue", "/admin/events/subscription/catalogue/"),
    ("event-details", "/admin/events/subscription/catalogue/walletreward_create/"),
    ("integrations", "/admin/integrations/integration/"),
    ("connect", "/admin/integrations/integration/add/"),
    ("connect-webhook", "/admin/integrations/integration/add/?destination=webhook"),
    ("connect-klaviyo", "/admin/integrations/integration/add/?destination=klaviyo"),
    ("integration", "/admin/integrations/integration/{demo.klaviyo.pk}/change/"),
    ("integration-webhook", "/admin/integrations/integration/{demo.shop.pk}/change/"),
    ("integration-closed", "/admin/integrations/integration/{demo.till.pk}/change/"),
    ("integration-new", "/admin/integrations/integration/{demo.newsletter.pk}/change/"),
    ("integration-switched-off", "/admin/integrations/integration/{demo.old.pk}/change/"),
    ("integration-test", "/admin/events/subscription/test/?tool={demo.newsletter.pk}"),
    ("sandbox", "/admin/integrations/integration/{demo.sandbox.pk}/change/"),
    ("integration-delete", "/admin/integrations/integration/{demo.shop.pk}/delete/"),
    ("deliveries", "/admin/events/delivery/"),
    ("deliveries-held", "/admin/events/delivery/?status=held"),
    ("deliveries-none", "/admin/events/delivery/?q=nobody@example.com"),
    ("delivery-sent", "/admin/events/delivery/{demo.deliveries[sent]}/change/"),
    ("delivery-failed", "/admin/events/delivery/{demo.deliveries[failed]}/change/"),
    ("delivery-retrying", "/admin/events/delivery/{demo.deliveries[retrying]}/change/"),
    ("delivery-held", "/admin/events/delivery/{demo.deliveries[held]}/change/"),
    ("delivery-skipped", "/admin/events/delivery/{demo.deliveries[skipped]}/change/"),
    ("what-happened", "/admin/events/occurrence/"),
    ("why", "/admin/events/occurrence/{demo.reward.pk}/change/"),
    ("timeline", "/admin/events/occurrence/customer/{demo.customer.pk}/"),
    ("notices", "/admin/events/notice/"),
    ("customers", "/admin/customers/customer/"),
    ("customer", "/admin/customers/customer/{demo.customer.pk}/change/"),
    ("customer-new", "/admin/customers/customer/add/"),
    ("customer-delete", "/admin/customers/customer/{demo.customer.pk}/delete/"),
    ("reward-coins", "/admin/customers/customer/{demo.customer.pk}/reward/"),
    ("redeem-an-offer", "/admin/customers/customer/{demo.customer.pk}/redeem/"),
    ("ledger", "/admin/customers/wallettransaction/?wallet__customer__id__exact={demo.customer.pk}"),
    ("ledger-entry", "/admin/customers/wallettransaction/{demo.entry.pk}/change/"),
    ("ledger-entry-new", "/admin/customers/wallettransaction/add/"),
    ("offers", "/admin/customers/offer/"),
    ("offer", "/admin/customers/offer/{demo.coupon.offer_id}/change/"),
    ("coupons", "/admin/customers/coupon/"),
    ("coupon", "/admin/customers/coupon/{demo.coupon.pk}/change/"),
    ("coupon-new", "/admin/customers/coupon/add/"),
    ("orders", "/admin/customers/order/"),
    ("order", "/admin/customers/order/{demo.order.pk}/change/"),
    ("order-new", "/admin/customers/order/add/"),
    ("reviews", "/admin/customers/review/"),
    ("review", "/admin/customers/review/{demo.review.pk}/change/"),
    ("referrals", "/admin/customers/referral/"),
    ("referral", "/admin/customers/referral/{demo.referral.pk}/change/"),
    ("referral-new", "/admin/customers/referral/add/"),
    ("tiers", "/admin/customers/tier/"),
    ("tier-new", "/admin/customers/tier/add/"),
    ("store", "/admin/customers/store/{demo.store.pk}/change/"),
    ("members", "/admin/customers/storemembership/"),
    ("member-new", "/admin/customers/storemembership/add/"),
    ("api-keys", "/admin/customers/apikey/"),
    ("api-key", "/admin/customers/apikey/{demo.api_key.pk}/change/"),
    ("api-key-new", "/admin/customers/apikey/add/"),
    ("password", "/admin/password_change/"),
)
FOLDER = os.environ.get("SCREENSHOTS")
every_look = pytest.mark.parametrize(
    ("width", "dark"), [*LOOKS, look(1280, dark=True), look(390, dark=False)] if FOLDER else LOOKS
)
PARTS = 3  # of the screens, so that no test is so long that the others wait for it
# Those that the documentation shows, and so many pixels of them from the top.
SHOWN, TALLEST = frozenset({"home", "send-event", "why", "delivery-failed", "customer"}), 1400
MOST_QUERIES = 40
SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def wrong_with(visitor: Visitor, name: str, *, width: int, dark: bool, whole: bool = True) -> list[str]:
    """What is wrong with the screen that shows; its picture is kept, the whole page or what is in sight."""
    found = [*grave_faults(visitor.page), *visitor.complaints]
    if visitor.page.evaluate(SIDEWAYS):
        found.append("it scrolls sideways")
    visitor.complaints.clear()
    if FOLDER:
        file = name + ("-phone" if width < 700 else "") + ("-dark" if dark else "")
        top: Any = {"x": 0, "y": 0, "width": width, "height": TALLEST} if file in SHOWN else None
        picture = visitor.page.screenshot(full_page=whole, clip=top)
        (Path(FOLDER) / f"{file}.png").write_bytes(with_palette(picture) if file in SHOWN else picture)
    return found


class TestScreens:
    @pytest.mark.parametrize("part", range(PARTS))
    @every_look
    def test_nothing_keeps_anybody_out(self, demo: Demo, browse: Browse, width: int, dark: bool, part: int) -> None:
        visitor = browse(demo.owner, width=width, dark=dark)
        faults: dict[str, Any] = {}
        for name, address in SCREENS[part::PARTS]:
            visitor.open(address.format(demo=demo))
            if found := wrong_with(visitor, name, width=width, dark=dark):
                faults[name] = found
        assert faults == {}

    @every_look
    def test_nor_what_shows_only_after_a_click(self, demo: Demo, browse: Browse, width: int, dark: bool) -> None:
        visitor = browse(demo.owner, width=width, dark=dark)
        visitor.open(f"/admin/events/subscription/{demo.big_reward.pk}/change/")
        visitor.click("Send test event")
        visitor.fill("E-mail address or mobile number", "priya@example.com")
        visitor.click("Send it now")
        assert visitor.sees("Shop app accepted it in")
        assert wrong_with(visitor, "send-event-tested", width=width, dark=dark, whole=False) == []
        switch_off(demo.store)
        visitor.open("/admin/events/subscription/")
        assert wrong_with(visitor, "events-off", width=width, dark=dark) == []
        visitor.click("Switch events on")
        assert visitor.sees("What shall become of what is held?")
        assert wrong_with(visitor, "events-switch", width=width, dark=dark) == []


class TestQueries:
    def test_no_page_takes_many(self, demo: Demo, signed_in: Any) -> None:
        client = signed_in(demo.owner)
        counts = {}
        for name, address in SCREENS:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address.format(demo=demo)).status_code == 200, name
            counts[name] = len(queries)
        assert {name: count for name, count in counts.items() if count > MOST_QUERIES} == {}
