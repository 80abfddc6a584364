"""The outbox: a fact and its deliveries are one transaction, whatever is broken; and the senders are woken after it."""

import socket
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.conf import Conf

from customers.models import Customer, Offer, Store, WalletTransaction
from events.models import Delivery, Occurrence, Subscription, WakeUp
from events.models.delivery import DeliveryStatus
from events.outbox import evaluate_again
from events.waking import LOST_AFTER, wake, woken
from integrations.models import Integration
from tests.concurrency import at_once
from tests.events.declaring import changed, removed
from tests.factories import give_coins, make_integration, make_subscription

REWARDS = {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward"]}
MANY_COINS = {"field": "wallettransaction_amount", "operator": "at_least", "value": 100}
NO_LONGER_THERE = {"field": "wings", "operator": "at_least", "value": 2}


@pytest.fixture(autouse=True)
def _nothing_runs(queued: list[Any]) -> None:
    """The senders' tasks are only kept."""


@pytest.fixture
def tool(store: Store) -> Integration:
    """An integration of the store. Nothing is sent in these tests."""
    return make_integration(store, name="Mailer")


def broken(_: Any) -> dict[str, Any]:
    """A declaration with a bug."""
    raise LookupError("no such drawer")


class Undone(Exception):
    """Whoever wrote the fact met trouble of his own afterwards."""


def roll_back(action: Callable[[], None]) -> None:
    """Do it in a transaction that fails in the end."""
    with transaction.atomic():
        action()
        raise Undone


def occurred(*keys: str) -> list[Occurrence]:
    """All occurrences, in their order; fails unless they are of these events."""
    occurrences = list(Occurrence.objects.order_by("id"))
    assert [occurrence.event_key for occurrence in occurrences] == list(keys)
    return occurrences


@pytest.mark.django_db
class TestRecord:
    def test_a_reward_makes_an_occurrence_and_a_delivery_for_each_send_event(
        self, store: Store, customer: Customer, tool: Integration
    ) -> None:
        Occurrence.objects.all().delete()
        other = make_integration(store, name="Newsletter")
        first = make_subscription(tool, "walletreward_create", REWARDS, prefix="shop_", name="coins")
        second = make_subscription(other, "walletreward_create")
        make_subscription(tool, "coupon_create")
        with transaction.atomic():
            give_coins(customer, 50)
            (occurrence,) = occurred("walletreward_create")
            assert Delivery.objects.count() == 2  # while the reward is not committed yet
        entry = customer.wallet.transactions.get()
        assert (occurrence.store, occurrence.customer, occurrence.subject_id) == (store, customer, entry.pk)
        assert (occurrence.silent, occurrence.is_test, occurrence.error, occurrence.unbuilt) == (False, False, "", None)
        assert occurrence.payload["wallettransaction_amount"] == 50
        delivery, another = Delivery.objects.order_by("id")
        assert delivery.occurrence == another.occurrence == occurrence
        assert (delivery.subscription, another.subscription) == (first, second)
        assert (delivery.store, delivery.customer, delivery.integration) == (store, customer, tool)
        assert (delivery.event_key, delivery.event_name) == ("walletreward_create", "shop_coins")
        assert delivery.label == "shop_coins → Mailer"
        assert (another.integration, another.event_name) == (other, "walletreward_create")
        assert another.label == "walletreward_create → Newsletter"
        assert (delivery.status, delivery.tries, delivery.reason) == (DeliveryStatus.PENDING, 0, "")
        assert delivery in Delivery.objects.due()

    def test_what_was_recorded_stays_when_the_send_event_is_renamed(
        self, customer: Customer, tool: Integration
    ) -> None:
        subscription = make_subscription(tool, name="before")
        give_coins(customer, 50)
        subscription.name = "after"
        subscription.save()
        assert Delivery.objects.get().event_name == "before"

    def test_the_payload_is_frozen(self, customer: Customer, tool: Integration) -> None:
        give_coins(customer, 50)
        customer.name = "Somebody Else"
        customer.save()
        assert Occurrence.objects.get(event_key="walletreward_create").payload["user_name"] == "Ada"

    def test_restrictions_keep_a_redemption_out(self, customer: Customer, offer: Offer, tool: Integration) -> None:
        rewards = make_subscription(tool, "walletreward_create", REWARDS)
        everything = make_subscription(tool, "walletreward_create")
        give_coins(customer, 150)
        offer.redeem(customer)
        assert list(rewards.deliveries.values_list("occurrence__payload__wallettransaction_type", flat=True)) == [
            "reward"
        ]
        assert everything.deliveries.count() == 2

    def test_all_restrictions_must_hold(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", REWARDS, MANY_COINS)
        give_coins(customer, 99)
        give_coins(customer, 100)
        assert subscription.deliveries.get().occurrence.payload["wallettransaction_amount"] == 100

    @pytest.mark.parametrize("switch", ["store", "integration"])
    def test_while_the_store_or_the_integration_is_off_deliveries_are_held(
        self, store: Store, customer: Customer, tool: Integration, switch: str
    ) -> None:
        subscription = make_subscription(tool)
        if switch == "store":
            Store.objects.update(events_on=False)
        else:
            Integration.objects.update(enabled=False)
        give_coins(customer, 50)
        assert list(Delivery.objects.held()) == list(subscription.deliveries.all())
        assert Delivery.objects.held().count() == 1

    def test_a_send_event_that_is_off_makes_none(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, enabled=False)
        give_coins(customer, 50)
        assert not Delivery.objects.exists()
        assert Occurrence.objects.filter(event_key="walletreward_create").exists()

    def test_what_was_deleted_makes_none(self, store: Store, customer: Customer, tool: Integration) -> None:
        make_subscription(tool).archive()
        gone = make_integration(store)
        make_subscription(gone)
        gone.archive()
        give_coins(customer, 50)
        assert not Delivery.objects.exists()

    def test_another_stores_send_events_never_match(self, customer: Customer, other_store: Store) -> None:
        make_subscription(make_integration(other_store))
        give_coins(customer, 50)
        assert not Delivery.objects.exists()

    def test_facts_of_several_stores_find_their_own(self, store: Store, other_store: Store) -> None:
        for one in (store, other_store):
            make_subscription(make_integration(one), "lead_create")
        Customer.objects.bulk_create([Customer(store=one, external_id="1") for one in (store, other_store)])
        assert Delivery.objects.count() == 2
        for delivery in Delivery.objects.select_related("customer", "occurrence", "subscription"):
            assert delivery.customer
            assert delivery.subscription
            assert {
                delivery.store_id,
                delivery.customer.store_id,
                delivery.occurrence.store_id,
                delivery.subscription.store_id,
            } == {delivery.store_id}

    def test_silent_facts_are_recorded_and_not_delivered(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        give_coins(customer, 50, silent=True)
        assert Occurrence.objects.get(event_key="walletreward_create").silent
        assert not Delivery.objects.exists()

    def test_the_number_of_send_events_changes_no_number_of_queries(
        self, customer: Customer, tool: Integration
    ) -> None:
        make_subscription(tool)
        give_coins(customer, 10)  # from now on the wallet is known
        with CaptureQueriesContext(connection) as one:
            give_coins(customer, 10)
        for _ in range(49):
            make_subscription(tool)
        with CaptureQueriesContext(connection) as fifty:
            give_coins(customer, 10)
        assert Delivery.objects.count() == 52
        # On SQLite, Django writes as many rows with one statement as fit into 999 parameters.
        rows = connection.ops.bulk_batch_size(Delivery._meta.concrete_fields, range(50))
        assert len(fifty) == len(one) + (50 - 1) // rows

    def test_the_number_of_facts_written_at_once_changes_no_number_of_queries(
        self, store: Store, tool: Integration
    ) -> None:
        make_subscription(tool, "lead_create")

        def queries(count: int, prefix: str) -> int:
            new = [Customer(store=store, external_id=f"{prefix}{number}") for number in range(count)]
            with CaptureQueriesContext(connection) as captured:
                Customer.objects.bulk_create(new)
            return len(captured)

        assert queries(20, "b") == queries(2, "a")
        assert Delivery.objects.count() == 22


@pytest.mark.django_db
class TestFacts:
    """Which events the facts of the main job bring about."""

    def test_a_new_customer(self, customer: Customer) -> None:
        (occurrence,) = occurred("lead_create")
        assert (occurrence.customer, occurrence.subject_id) == (customer, customer.pk)

    def test_a_changed_customer(self, customer: Customer) -> None:
        customer.birth_date = date(1990, 5, 17)
        customer.save()
        customer.save()  # nothing changed
        _, occurrence = occurred("lead_create", "lead_update")
        assert occurrence.payload["changed_fields"] == ["user_birth_date"]
        assert occurrence.payload["previous_user_birth_date"] is None

    def test_a_changed_tier_is_no_update_of_the_customer(self, customer: Customer) -> None:
        customer.tier = "Gold"
        customer.save()
        occurred("lead_create")

    def test_a_pending_entry_counts_when_it_is_settled(self, customer: Customer) -> None:
        entry, _ = customer.wallet.record(type="reward", operation="cr", amount=50, status="pending")
        occurred("lead_create")
        entry.settle()
        _, *both = occurred("lead_create", "walletreward_create", "wallettransaction_update")
        for occurrence in both:
            assert occurrence.payload["wallettransaction_status"] == "success"
            assert occurrence.payload["wallettransaction_balance_after"] == 50
            assert occurrence.payload["user_wallet_balance"] == 50
        reward, update = both
        assert "changed_fields" not in reward.payload
        assert update.payload["changed_fields"] == ["wallettransaction_balance_after", "wallettransaction_status"]
        assert update.payload["previous_wallettransaction_status"] == "pending"
        assert update.payload["previous_wallettransaction_balance_after"] is None

    def test_a_cancelled_entry_never_counts(self, customer: Customer) -> None:
        entry, _ = customer.wallet.record(type="reward", operation="cr", amount=50, status="pending")
        entry.cancel()
        _, update = occurred("lead_create", "wallettransaction_update")
        assert update.payload["changed_fields"] == ["wallettransaction_status"]
        assert update.payload["wallettransaction_status"] == "cancelled"

    def test_a_repeated_reference_happened_once(self, customer: Customer) -> None:
        give_coins(customer, 50, reference="order-1")
        give_coins(customer, 50, reference="order-1")
        occurred("lead_create", "walletreward_create")

    def test_a_redemption_is_told_by_the_wallet_and_by_the_coupon(self, customer: Customer, offer: Offer) -> None:
        give_coins(customer, 150)
        coupon, _ = offer.redeem(customer)
        _, _, _, debit, issued = occurred(
            *("lead_create", "walletreward_create", "rewardavailable_create", "walletreward_create", "coupon_create")
        )
        assert debit.payload["wallettransaction_type"] == "redeem"
        assert debit.payload["wallettransaction_operation"] == "dr"
        assert debit.payload["user_wallet_balance"] == issued.payload["user_wallet_balance"] == 50
        assert (issued.subject_id, issued.payload["coupon_code"]) == (coupon.pk, coupon.code)

    def test_a_coupon_changes_its_status(self, customer: Customer, offer: Offer) -> None:
        give_coins(customer, 100)
        coupon, _ = offer.redeem(customer)
        coupon.cancel()
        update = Occurrence.objects.get(event_key="coupon_update")
        assert update.payload["coupon_status"] == "cancelled"
        assert update.payload["previous_coupon_status"] == "issued"

    def test_what_happened_outlives_the_customer(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        give_coins(customer, 50)
        customer.delete()
        _, reward = occurred("lead_create", "walletreward_create")
        assert (reward.customer, reward.payload["user_email"]) == (None, "ada@example.com")
        assert Delivery.objects.get().customer is None


@pytest.mark.django_db
class TestBrokenDeclarations:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"build": broken}, "LookupError: no such drawer"),
            ({"customer": broken}, "LookupError: no such drawer"),
            ({"when": broken}, "LookupError: no such drawer"),
            (
                {"build": lambda _: {"amount": Decimal(1)}},
                "TypeError: Object of type Decimal is not JSON serializable",
            ),
            (
                {"build": lambda _: {"amount": float("nan")}},
                "ValueError: Out of range float values are not JSON compliant",
            ),
        ],
        ids=["build", "customer", "when", "not JSON", "not a number"],
    )
    def test_the_reward_stays_and_the_occurrence_keeps_the_error(
        self, customer: Customer, tool: Integration, changes: dict[str, Any], error: str
    ) -> None:
        make_subscription(tool)
        with changed("walletreward_create", **changes):
            give_coins(customer, 50)
        customer.wallet.refresh_from_db()
        assert customer.wallet.balance == 50
        occurrence = Occurrence.objects.needing_attention().get()
        assert occurrence.error == f"The payload could not be built: {error}"
        assert not Delivery.objects.exists()

    def test_the_other_events_of_the_fact_proceed(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "wallettransaction_update")
        entry, _ = customer.wallet.record(type="reward", operation="cr", amount=50, status="pending")
        with changed("walletreward_create", build=broken):
            entry.settle()
        assert Delivery.objects.get().event_key == "wallettransaction_update"

    def test_a_database_error_comes_through_and_undoes_the_fact(self, customer: Customer, tool: Integration) -> None:
        def fails(_: Any) -> dict[str, Any]:
            raise OperationalError("the disk is full")

        make_subscription(tool)
        before = Occurrence.objects.count()
        for part in ("build", "when"):
            with (
                changed("walletreward_create", **{part: fails}),
                pytest.raises(OperationalError, match="the disk is full"),
                transaction.atomic(),
            ):
                give_coins(customer, 50)
        customer.wallet.refresh_from_db()
        assert (customer.wallet.balance, WalletTransaction.objects.count()) == (0, 0)
        assert (Occurrence.objects.count(), Delivery.objects.count()) == (before, 0)

    def test_a_restriction_that_no_longer_fits_is_noted_and_the_others_proceed(
        self, customer: Customer, tool: Integration
    ) -> None:
        make_subscription(tool, "walletreward_create", NO_LONGER_THERE, name="broken")
        make_subscription(tool, "walletreward_create", "nonsense", name="worse")  # type: ignore[arg-type]
        good = make_subscription(tool, "walletreward_create", REWARDS, name="good")
        give_coins(customer, 50)
        assert list(Delivery.objects.values_list("subscription", flat=True)) == [good.pk]
        assert Occurrence.objects.needing_attention().get().error == (
            "broken: Wallet Coins Rewarded cannot be restricted by “wings”.\n"
            "worse: A restriction has a field, an operator and a value."
        )

    def test_a_value_that_cannot_be_read_is_noted(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool, "walletreward_create", MANY_COINS, name="many")
        with changed("walletreward_create", build=lambda entry: {"wallettransaction_amount": "a lot"}):
            give_coins(customer, 500)
        assert not Delivery.objects.exists()
        assert Occurrence.objects.needing_attention().get().error == (
            "many: Coins: the value found, “a lot”, is not a whole number."
        )


@pytest.mark.django_db
class TestEvaluateAgain:
    def failed(self, customer: Customer, **changes: Any) -> Occurrence:
        """A reward whose declaration failed."""
        with changed("walletreward_create", **(changes or {"build": broken})):
            give_coins(customer, 50)
        return Occurrence.objects.needing_attention().get()

    def test_a_mended_payload_is_built_and_delivered(self, store: Store, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", REWARDS)
        make_subscription(tool, "walletreward_create", MANY_COINS)
        occurrence = self.failed(customer)
        event_id = occurrence.event_id
        assert evaluate_again(occurrence) == 1
        occurrence.refresh_from_db()
        assert (occurrence.error, occurrence.unbuilt, occurrence.customer) == ("", None, customer)
        assert occurrence.payload["wallettransaction_amount"] == 50
        assert (occurrence.event_id, occurrence.payload["event_id"]) == (event_id, str(event_id))
        assert occurrence.payload["event_occurred_at"] == occurrence.occurred_at.isoformat()
        delivery = Delivery.objects.get()
        assert (delivery.subscription, delivery.customer, delivery.store) == (subscription, customer, store)

    def test_while_it_still_fails_it_stays_as_it_is(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        occurrence = self.failed(customer)
        with changed("walletreward_create", build=broken):
            assert evaluate_again(occurrence) == 0
        occurrence.refresh_from_db()
        assert occurrence.error == "The payload could not be built: LookupError: no such drawer"
        assert occurrence.unbuilt == {"created": True, "previous": {}}
        assert evaluate_again(occurrence) == 1

    def test_an_update_knows_what_was_before(self, customer: Customer) -> None:
        customer.birth_date = date(1990, 5, 17)
        customer.save()
        customer.name, customer.birth_date = "Ada L.", date(1815, 12, 10)
        with changed("lead_update", build=broken):
            customer.save()
        occurrence = Occurrence.objects.needing_attention().get()
        evaluate_again(occurrence)
        occurrence.refresh_from_db()
        assert sorted(occurrence.payload["changed_fields"]) == ["user_birth_date", "user_name"]
        assert occurrence.payload["previous_user_name"] == "Ada"
        assert occurrence.payload["previous_user_birth_date"] == "1990-05-17"
        assert occurrence.payload["user_birth_date"] == "1815-12-10"

    def test_a_mended_restriction_is_judged_and_nothing_is_delivered_twice(
        self, customer: Customer, tool: Integration
    ) -> None:
        faulty = make_subscription(tool, "walletreward_create", NO_LONGER_THERE)
        fine = make_subscription(tool, "walletreward_create")
        give_coins(customer, 50)
        occurrence = Occurrence.objects.needing_attention().get()
        assert evaluate_again(occurrence) == 0
        faulty.restrictions = [REWARDS]
        faulty.save()
        assert evaluate_again(occurrence) == 1
        assert evaluate_again(occurrence) == 0
        assert not Occurrence.objects.needing_attention().exists()
        assert {delivery.subscription for delivery in Delivery.objects.all()} == {faulty, fine}
        assert Delivery.objects.count() == 2

    def test_later_send_events_stay_out_of_it(self, customer: Customer, tool: Integration) -> None:
        occurrence = self.failed(customer)
        make_subscription(tool)
        assert evaluate_again(occurrence) == 0

    def test_what_had_no_error_is_left_alone(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool, "walletreward_create", MANY_COINS)
        give_coins(customer, 50)
        subscription.restrictions = []
        subscription.save()
        assert evaluate_again(Occurrence.objects.latest("id")) == 0
        assert not Delivery.objects.exists()

    def test_a_silent_one_is_built_and_not_delivered(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        with changed("walletreward_create", build=broken):
            give_coins(customer, 50, silent=True)
        occurrence = Occurrence.objects.needing_attention().get()
        assert evaluate_again(occurrence) == 0
        occurrence.refresh_from_db()
        assert (occurrence.error, occurrence.payload["wallettransaction_amount"]) == ("", 50)

    def test_what_it_is_about_was_deleted(self, customer: Customer, tool: Integration) -> None:
        occurrence = self.failed(customer)
        customer.delete()
        assert evaluate_again(occurrence) == 0
        occurrence.refresh_from_db()
        assert occurrence.error == "The payload could not be built: what it is about was deleted."

    def test_its_event_type_was_removed(self, customer: Customer) -> None:
        occurrence = self.failed(customer)
        with removed("walletreward_create"):
            assert evaluate_again(occurrence) == 0
        occurrence.refresh_from_db()
        assert occurrence.error.startswith(
            "The payload could not be built: UnknownEventType: There is no event with the key “walletreward_create”."
        )

    def test_what_turns_out_not_to_have_happened_goes(self, customer: Customer) -> None:
        occurrence = self.failed(customer, when=broken)
        with changed("walletreward_create", when=lambda fact: False):
            assert evaluate_again(occurrence) == 0
        assert not Occurrence.objects.filter(pk=occurrence.pk).exists()


@pytest.mark.django_db(transaction=True)
class TestWaking:
    def test_a_rollback_leaves_no_row_and_wakes_nobody(
        self, customer: Customer, tool: Integration, queued: list[Any]
    ) -> None:
        make_subscription(tool)

        def reward() -> None:
            give_coins(customer, 50)
            assert Delivery.objects.exists()

        with pytest.raises(Undone):
            roll_back(reward)
        occurred("lead_create")
        assert not Delivery.objects.exists()
        assert not WalletTransaction.objects.exists()
        assert queued == []
        assert not WakeUp.objects.filter(asked_at__isnull=False).exists()

    def test_nobody_is_woken_before_the_commit(self, customer: Customer, tool: Integration, queued: list[Any]) -> None:
        make_subscription(tool)
        with transaction.atomic():
            give_coins(customer, 50)
            assert queued == []
        assert len(queued) == 1

    def test_wake_ups_coalesce_until_one_arrives(
        self, customer: Customer, tool: Integration, queued: list[Any]
    ) -> None:
        make_subscription(tool)
        for _ in range(3):
            give_coins(customer, 50)
        assert len(queued) == 1
        woken()
        give_coins(customer, 50)
        assert len(queued) == 2

    def test_a_lost_one_is_sent_again(self, customer: Customer, tool: Integration, queued: list[Any]) -> None:
        make_subscription(tool)
        give_coins(customer, 50)
        WakeUp.objects.update(asked_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
        give_coins(customer, 50)
        assert len(queued) == 2

    def test_of_several_at_once_one_asks(self, store: Store, tool: Integration, queued: list[Any]) -> None:
        WakeUp.objects.create(pk=1)
        assert at_once(*[wake] * 4) == [None] * 4
        assert len(queued) == 1

    def test_facts_without_deliveries_wake_nobody(self, customer: Customer, queued: list[Any]) -> None:
        give_coins(customer, 50)
        assert queued == []

    def test_evaluating_again_wakes(self, customer: Customer, tool: Integration, queued: list[Any]) -> None:
        make_subscription(tool)
        with changed("walletreward_create", build=broken):
            give_coins(customer, 50)
        assert queued == []
        evaluate_again(Occurrence.objects.needing_attention().get())
        assert len(queued) == 1


@pytest.fixture
def redis_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes Django-Q take a Redis at this port of 127.0.0.1 for its broker, with the time-outs of the settings."""

    def use(port: int) -> None:
        monkeypatch.setattr(Conf, "BROKER_CLASS", None)
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", f"redis://127.0.0.1:{port}?{settings.BROKER_TIMEOUTS}")

    return use


@pytest.mark.django_db(transaction=True)
class TestWithoutBroker:
    @pytest.mark.parametrize("trouble", ["closed", "silent"])
    def test_the_reward_is_committed_without_an_error_or_a_long_wait(
        self, customer: Customer, tool: Integration, redis_at: Any, caplog: pytest.LogCaptureFixture, trouble: str
    ) -> None:
        make_subscription(tool)
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            if trouble == "silent":
                server.listen()
            redis_at(server.getsockname()[1])
            started = time.monotonic()
            give_coins(customer, 50)
            assert time.monotonic() - started < 6
        assert customer.wallet.balance == 50
        assert Delivery.objects.due().count() == 1
        assert "The workers could not be woken; the cluster's clock will find the work" in caplog.messages


@pytest.mark.django_db
class TestSubscriptionVersions:
    def test_each_change_of_what_is_sent_writes_one(self, tool: Integration) -> None:
        subscription = make_subscription(tool)
        subscription.save()  # nothing changed
        subscription.restrictions = [REWARDS]
        subscription.save()
        subscription.name = "coins"
        subscription.save()
        subscription.save()
        subscription.enabled = False
        subscription.save()
        versions = subscription.versions.values_list("number", "event_name", "restrictions", "enabled")
        assert list(versions) == [
            (1, "walletreward_create", [], True),
            (2, "walletreward_create", [REWARDS], True),
            (3, "coins", [REWARDS], True),
            (4, "coins", [REWARDS], False),
        ]

    def test_the_same_name_by_another_prefix_is_no_change(self, tool: Integration) -> None:
        subscription = make_subscription(tool, prefix="shop_", name="coins")
        subscription.prefix, subscription.name = "", "shop_coins"
        subscription.save()
        assert subscription.versions.count() == 1

    def test_another_integration_is_one(self, store: Store, tool: Integration) -> None:
        subscription = make_subscription(tool)
        subscription.integration = make_integration(store)
        subscription.save()
        assert list(subscription.versions.values_list("integration", flat=True)) == [
            tool.pk,
            subscription.integration_id,
        ]


@pytest.mark.django_db
class TestArchive:
    def test_a_deleted_send_event_cancels_what_is_pending(self, customer: Customer, tool: Integration) -> None:
        subscription, other = make_subscription(tool), make_subscription(tool)
        give_coins(customer, 50)
        give_coins(customer, 50)
        Delivery.objects.filter(pk=subscription.deliveries.earliest("id").pk).update(status=DeliveryStatus.SENT)
        subscription.archive()
        assert list(subscription.deliveries.order_by("id").values_list("status", "reason")) == [
            ("sent", ""),
            ("cancelled", "the send event was deleted"),
        ]
        assert all(delivery.finished_at for delivery in subscription.deliveries.filter(status="cancelled"))
        assert list(other.deliveries.values_list("status", flat=True).distinct().order_by()) == ["pending"]
        assert list(Subscription.objects.existing()) == [other]
        assert list(subscription.versions.values_list("enabled", flat=True)) == [True, False]

    def test_a_call_under_way_that_fails_is_not_due_again(self, customer: Customer, tool: Integration) -> None:
        subscription = make_subscription(tool)
        give_coins(customer, 50)
        Delivery.objects.update(status=DeliveryStatus.SENDING)
        subscription.archive()
        Delivery.objects.update(status=DeliveryStatus.PENDING)  # as a sender does after a try that may work later
        assert not Delivery.objects.due().exists()

    def test_a_deleted_integration_cancels_what_is_pending(
        self, store: Store, customer: Customer, tool: Integration
    ) -> None:
        make_subscription(tool)
        kept = make_subscription(make_integration(store))
        give_coins(customer, 50)
        tool.archive()
        assert list(Delivery.objects.order_by("id").values_list("status", "reason")) == [
            ("cancelled", "the integration was deleted"),
            ("pending", ""),
        ]
        assert list(Subscription.objects.existing()) == [kept]

    def test_it_is_one_transaction(self, customer: Customer, tool: Integration) -> None:
        make_subscription(tool)
        give_coins(customer, 50)
        with pytest.raises(Undone):
            roll_back(tool.archive)
        assert Delivery.objects.get().status == DeliveryStatus.PENDING


@pytest.mark.django_db
class TestLanesOfIntegrations:
    def test_a_new_integration_has_its_lane(self, store: Store) -> None:
        integration = make_integration(store)
        integration.save()
        assert integration.lane.store == store
