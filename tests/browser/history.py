"""How the coffee shop came by its history.

The last hours are real: facts, recorded, sent by the real sender over real HTTP to a tool's server and to the sandbox
receiver, and then moved back in time. Of the weeks before there are only tallies, as after `manage.py prune`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.db.models import F
from django.utils import timezone

from customers.models import Coupon, Customer, Offer, Order, Referral, Review, Store, Tier, WalletTransaction
from customers.models.coins import Operation, Source, WalletTransactionType
from customers.models.store import TierCriterion
from events.management.commands.seed_demo import LOGIN, seed
from events.models import Attempt, Delivery, Exchange, Occurrence, Subscription, SubscriptionVersion, Tally
from events.models.lane import DURATION_BUCKETS, LATENCY_BUCKETS
from events.sending import deliver
from integrations.models import Integration, SandboxRequest
from tests import factories
from tests.browser.demo import Demo, sandbox_receiver
from tests.receiver import Answer, Received, Receiver, running

ANSWERS = {
    "/shop": Answer(200, {"Content-Type": "application/json"}, b'{"received":true}'),
    "/shop/strict": Answer(
        422, {"Content-Type": "application/json"}, b'{"error":"unknown_customer","detail":"No customer 1007."}'
    ),
    "/warehouse": Answer(200, {"Content-Type": "application/json"}, b'{"rows":1}'),
    "/till": Answer(401, {"Content-Type": "application/json"}, b'{"error":"The token has expired."}'),
    "/klaviyo/api/events": Answer(202),
    "/old": Answer(410, {}, b"This app was retired."),
}
# Every moving part of the history: its times, which are all moved together.
TIMES: tuple[tuple[type[models.Model], tuple[str, ...]], ...] = (
    (WalletTransaction, ("created_at", "effective_at")),
    (Coupon, ("created_at",)),
    (Order, ("created_at",)),
    (Review, ("created_at",)),
    (Referral, ("created_at",)),
    (Occurrence, ("occurred_at",)),
    (Delivery, ("recorded_at", "finished_at")),
    (Attempt, ("started_at",)),
    (Exchange, ("started_at",)),
    (SandboxRequest, ("received_at",)),
    (Tally, ("minute",)),
)


@contextmanager
def coffee_shop(settings: Any) -> Iterator[Demo]:
    """The store with its history, while its tools answer. `settings` is pytest-django's fixture."""
    with running() as tool, sandbox_receiver() as sandbox:
        settings.SANDBOX, settings.SANDBOX_ADDRESS = True, sandbox
        settings.ALLOWED_PRIVATE_HOSTS = frozenset({tool.host, sandbox})
        yield _History(tool).tell()


class _History:
    def __init__(self, tool: Receiver) -> None:
        self.tool = tool
        self.answers = dict(ANSWERS)
        tool.choose = self._answer
        self.dice = Random(7)
        self.orders = iter(range(4711, 9999))

    def _answer(self, request: Received) -> Answer:
        return self.answers[request.path]

    def tell(self) -> Demo:
        self._episode(24 * 40, seed)
        self.store = Store.objects.get()
        self.people = {customer.name.split()[0]: customer for customer in Customer.objects.all()}
        self.offers = {offer.name: offer for offer in Offer.objects.all()}
        demo = Demo(
            store=self.store,
            owner=User.objects.get(username=LOGIN),
            sandbox=Integration.objects.get(),
            klaviyo=factories.make_integration(
                self.store,
                destination="klaviyo",
                name="Klaviyo main account",
                values={
                    "api_key": "pk_4f9d2c81b7e6a0",
                    "revision": "2026-07-15",
                    "host": f"http://{self.tool.host}/klaviyo",
                },
            ),
            shop=self._webhook("Shop app", "/shop"),
            warehouse=self._webhook("Data warehouse", "/warehouse"),
            till=self._webhook("Till", "/till"),
            old=self._webhook("Old loyalty app", "/old"),
            newsletter=self._webhook("Newsletter", "/shop", enabled=False),
            customer=self.people["Priya"],
        )
        self._programme()
        self._send_events(demo)
        Integration.objects.filter(enabled=True).update(
            verified_at=timezone.now() - timedelta(days=33),
            checked_at=timezone.now() - timedelta(days=33),
            check_result="It accepted a test event (41 ms).",
        )
        self._weeks_before(demo)
        self._last_hours(demo)
        # Not due while the pictures are taken: nobody sends meanwhile.
        retrying = Delivery.objects.filter(status="pending", tries__gt=0)
        retrying.update(next_attempt_at=timezone.now() + timedelta(minutes=20))
        return demo

    def _webhook(self, name: str, path: str, **fields: Any) -> Integration:
        values = {
            "url": f"http://{self.tool.host}{path}",
            "signing_secret": "whsec_" + "c2VjcmV0" * 4,
            "headers": "Authorization: Bearer 4f9d2c81b7e6" if path == "/till" else "",
        }
        return factories.make_integration(self.store, name=name, values=values, **fields)

    def _programme(self) -> None:
        """What coins are not everything of: tiers by what was spent, and referrals."""
        self.store.tier_criterion, self.store.referrer_coins = TierCriterion.AMOUNT_SPENT, 100
        self.store.save()
        for name, threshold in (("Silver", 50), ("Gold", 250)):
            Tier.objects.create(store=self.store, name=name, threshold=threshold)
        self.people["Priya"].referral_code = "PRIYA25"
        self.people["Priya"].save()

    def _send_events(self, demo: Demo) -> None:
        rewards = {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]}
        redeemed = {"field": "coupon_status", "operator": "any_of", "value": ["redeemed"]}
        large = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
        make = factories.make_subscription
        make(demo.klaviyo, "walletreward_create", rewards, prefix="nector_")
        make(demo.klaviyo, "coupon_create", prefix="nector_")
        make(demo.klaviyo, "coupon_update", redeemed, prefix="nector_", name="coupon_redeemed")
        make(demo.shop, "walletreward_create", rewards, large, prefix="app_", name="big_reward")
        make(demo.shop, "coupon_create", prefix="app_")
        make(demo.shop, "coupon_update", prefix="app_")
        make(demo.warehouse, "walletreward_create", name="ledger_entry")
        make(demo.warehouse, "wallettransaction_update", name="ledger_update")
        make(demo.till, "coupon_create")
        make(demo.old, "lead_update")
        make(demo.newsletter, "walletreward_create", rewards, name="coins_earned")
        long_ago = timezone.now() - timedelta(days=40)
        Subscription.objects.update(created_at=long_ago)
        SubscriptionVersion.objects.update(since=long_ago)

    # --- Weeks of which only the tallies are left ---

    def _weeks_before(self, demo: Demo) -> None:
        start = timezone.now().replace(minute=20, second=30, microsecond=0)  # beside the whole minutes of real ones
        busy = (demo.sandbox, demo.klaviyo, demo.shop, demo.warehouse)
        sources = [one for tool in busy for one in tool.subscriptions.all()]
        rows = []
        for days in range(1, 33):
            weekend = (start - timedelta(days=days)).weekday() >= 5
            for subscription in sources:
                sent = self.dice.randint(18, 34) * (2 if weekend else 1)
                troubled = days in (9, 10) and subscription.integration == demo.warehouse
                failed = self.dice.randint(8, 14) if troubled else self.dice.choice((0, 0, 0, 0, 1))
                skipped = self.dice.choice((0, 0, 1, 2)) if subscription.integration == demo.klaviyo else 0
                rows.append(self._tally(subscription, start - timedelta(days=days, hours=2), sent, failed, skipped))
        for hours in range(2, 24):
            moment = start - timedelta(hours=hours)
            awake = max(0, 9 - abs(14 - moment.hour))  # nobody buys coffee at night
            rows += [self._tally(one, moment, self.dice.randint(0, awake), 0, 0) for one in sources if awake]
        Tally.objects.bulk_create(rows)

    def _tally(self, subscription: Subscription, minute: datetime, sent: int, failed: int, skipped: int) -> Tally:
        tries = sent + failed
        quick = sent * 3 // 4
        latency = [0] * (len(LATENCY_BUCKETS) + 1)
        latency[3], latency[4] = quick, sent - quick
        duration = [0] * (len(DURATION_BUCKETS) + 1)
        duration[2] = tries
        return Tally(
            store=self.store,
            integration=subscription.integration,
            subscription=subscription,
            minute=minute,
            sent=sent,
            failed=failed,
            skipped=skipped,
            tries=tries,
            failed_tries=failed,
            latency=latency,
            duration=duration,
        )

    # --- The last hours, as they happened ---

    def _last_hours(self, demo: Demo) -> None:
        self._episode(21, lambda: self._reward("Tom", 35))
        self._episode(20, lambda: self._reward("Priya", 120), lambda: self._redeem("Priya", "15 percent off"))
        self._episode(17, lambda: self._join("Karla Novak"), lambda: self._reward("Sofia", 60))
        self._episode(16, lambda: self._order("Tom", "17.80", status="completed"), lambda: self._refer("Karla"))
        self._episode(14, lambda: self._order("Priya", "64.50", status="completed"), lambda: self._review("Priya"))
        self._episode(13, lambda: self._join("Ole Berg", email=None), lambda: self._reward("Ole", 20))
        self._episode(9, lambda: self._reward("Luca", 45), lambda: self._reward("Marie", 110))
        self.answers["/shop"] = ANSWERS["/shop/strict"]
        self._episode(8, lambda: self._redeem("Priya", "5 off"))
        self.answers["/shop"] = ANSWERS["/shop"]
        self._episode(6, lambda: self._redeem("Anna", "Free shipping"), lambda: self._reward("Noah", 30))
        self._episode(5, lambda: self._use_coupon("Priya"), lambda: self._rename("Zeynep", "Zeynep Kaya-Aydin"))
        self._episode(3, lambda: self._reward("Priya", 240), lambda: self._pending("Jonas", 80))
        self._episode(2, lambda: self._order("Priya", "23.00", status="processing"))
        self._episode(1, lambda: self._redeem("Sofia", "5 off"), lambda: self._reward("Asha", 25))
        self.answers["/warehouse"] = Answer(503, {"Content-Type": "text/html"}, b"<h1>503 Service Unavailable</h1>")
        self._episode(0, lambda: self._reward("Priya", 55), lambda: self._redeem("Marie", "Free espresso"))

    def _episode(self, hours: int, *happens: Any) -> None:
        """It happens, is sent, and was so many hours ago."""
        known = {model: set(model._base_manager.values_list("pk", flat=True)) for model, _ in TIMES}
        for one in happens:
            one()
        deliver()
        ago = timedelta(hours=hours, minutes=self.dice.randint(1, 20) if hours else 0)
        for model, names in TIMES:
            new = set(model._base_manager.values_list("pk", flat=True)) - known[model]
            rows: models.QuerySet[Any] = models.QuerySet(model).filter(
                pk__in=new
            )  # facts refuse an update() of their own
            rows.update(**{name: F(name) - ago for name in names})

    def _reward(self, who: str, coins: int) -> None:
        self.people[who].wallet.record(
            type=WalletTransactionType.REWARD,
            operation=Operation.CREDIT,
            amount=coins,
            source=Source.ORDER,
            title=f"Order {next(self.orders)}",
        )

    def _pending(self, who: str, coins: int) -> None:
        entry, _ = self.people[who].wallet.record(
            type=WalletTransactionType.REWARD,
            operation=Operation.CREDIT,
            amount=coins,
            source=Source.REFERRAL,
            title="Brought a friend",
            status="pending",
        )
        entry.settle()

    def _redeem(self, who: str, offer: str) -> None:
        self.offers[offer].redeem(self.people[who])

    def _use_coupon(self, who: str) -> None:
        coupon = Coupon.objects.filter(customer=self.people[who]).earliest("id")
        coupon.redeem()

    def _order(self, who: str, price: str, *, status: str) -> None:
        number = next(self.orders)
        items = [
            {"title": "House blend, 500 g", "price": price, "product_id": "SKU-12"},
            {"title": "Paper filters", "price": "3.20", "quantity": 2},
        ]
        states = {"status": status, "financial_status": "paid"}
        facts: dict[str, Any] = {"reference_order_id": f"S-{number}", "name": f"#{number}", "items": items, **states}
        Order.objects.place(store=self.store, customer=self.people[who], **facts)

    def _review(self, who: str) -> None:
        Review(
            store=self.store,
            customer=self.people[who],
            rating=5,
            title="Best beans in town",
            description="Fresh every week, and the espresso is gentle.",
            is_verified=True,
            reference_product_id="SKU-12",
        ).save()

    def _refer(self, friend: str) -> None:
        Referral.objects.start(store=self.store, referee=self.people[friend], referral_code="PRIYA25")

    def _join(self, name: str, **fields: Any) -> None:
        first = name.split()[0]
        defaults = {"email": f"{first.lower()}@example.com", "external_id": f"C-{first}", "country": "CZ"}
        self.people[first] = factories.make_customer(self.store, name=name, **{**defaults, **fields})

    def _rename(self, who: str, name: str) -> None:
        customer = self.people[who]
        customer.name = name
        customer.save()
