"""The form of a send event: its restrictions, its errors at their fields, and who may save what."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, Store
from events.models import Delivery, Subscription, Tally
from events.switching import switch_off
from integrations.models import Integration
from tests.factories import give_coins, make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db

LIST = "/admin/events/subscription/"
SWITCH = "/admin/events/subscription/switch/"
ADD = "/admin/events/subscription/add/"


@pytest.fixture
def integration(store: Store) -> Integration:
    return make_integration(store, name="Klaviyo main account")


@pytest.fixture
def client(editor: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(editor)


def page_of(send_event: Subscription) -> str:
    return f"/admin/events/subscription/{send_event.pk}/change/"


def entered(to: Integration, **more: Any) -> dict[str, Any]:
    return {"event_key": "walletreward_create", "integration": str(to.pk), "enabled": "on", **more}


class TestFirstStep:
    def test_it_offers_every_event_and_recipe(self, client: Client) -> None:
        page = client.get(ADD).content.decode()
        assert "Coins redeemed" in page
        assert "Fires when a pending wallet transaction succeeds or is cancelled." in page
        assert 'href="?event=coupon_update"' in page

    def test_an_unknown_event_is_told(self, client: Client) -> None:
        page = client.get(ADD, {"event": "coin_flip"}).content.decode()
        assert "There is no event with the key “coin_flip”." in page

    def test_an_event_brings_its_initial_restrictions(self, client: Client, integration: Integration) -> None:
        form = client.get(ADD, {"event": "walletreward_create"}).context["form"]
        assert {one.field.label: one["value"].value() for one in form.restriction_forms if one.in_use} == {
            "Wallet Transaction Types": ["reward"],
            "Wallet Transaction Operations": ["cr"],
        }

    def test_a_recipe_brings_its_name_too(self, client: Client, integration: Integration) -> None:
        form = client.get(ADD, {"recipe": "coins_expired"}).context["form"]
        assert form["name"].value() == "coins_expired"
        assert [one["value"].value() for one in form.restriction_forms if one.in_use] == [["expire"]]


def changed(field: str, before: list[str], after: list[str]) -> dict[str, Any]:
    return {"field": f"changed_{field}", "operator": "changed", "value": {"from": before, "to": after}}


class TestAdding:
    def test_it_is_saved_with_its_restrictions(self, client: Client, store: Store, integration: Integration) -> None:
        answer = client.post(
            ADD,
            entered(
                integration,
                prefix="nector_",
                name="big_reward",
                **{
                    "restrict-wallettransaction_type-operator": "any_of",
                    "restrict-wallettransaction_type-value": ["reward", "adjust"],
                    "restrict-wallettransaction_amount-operator": "between",
                    "restrict-wallettransaction_amount-value": "100",
                    "restrict-wallettransaction_amount-upper": "500",
                    "restrict-user_tier-operator": "none_of",
                    "restrict-user_tier-value": 'Gold, "Silver, old"',
                    "restrict-user_has_email-value": "true",
                    "restrict-wallettransaction_created_at-value": "7",
                },
            ),
        )
        assert answer.status_code == 302
        saved = Subscription.objects.get()
        assert (saved.store, saved.event_name, saved.integration) == (store, "nector_big_reward", integration)
        assert saved.restrictions == [
            {"field": "wallettransaction_type", "operator": "any_of", "value": ["reward", "adjust"]},
            {"field": "wallettransaction_amount", "operator": "between", "value": [100, 500]},
            {"field": "wallettransaction_created_at", "operator": "within_days", "value": 7},
            {"field": "user_tier", "operator": "none_of", "value": ["Gold", "Silver, old"]},
            {"field": "user_has_email", "operator": "is", "value": True},
        ]

    def test_an_update_can_be_restricted_by_what_changed(
        self, client: Client, store: Store, integration: Integration
    ) -> None:
        given = {
            "restrict-changed_order_status-from": ["pending"],
            "restrict-changed_order_status-to": ["completed", "cancelled"],
            "restrict-changed_order_amount-to": "50, 60.5",
            "restrict-changed_order_name-any": "on",
        }
        assert client.post(ADD, entered(integration, event_key="order_update", **given)).status_code == 302
        saved = Subscription.objects.get()
        assert saved.restrictions == [
            changed("order_status", ["pending"], ["completed", "cancelled"]),
            changed("order_amount", [], ["50", "60.5"]),
            changed("order_name", [], []),
        ]
        form = client.get(f"/admin/events/subscription/{saved.pk}/change/").context["form"]
        shown = {one.field.name: [one[name].value() for name in one.fields] for one in form.prominent if one.in_use}
        assert shown == {
            "changed_order_status": [False, ["pending"], ["completed", "cancelled"]],
            "changed_order_amount": [False, "", "50, 60.5"],
            "changed_order_name": [True, "", ""],
        }
        assert "order_name" not in {one.field.name for one in form.changes}

    @pytest.mark.parametrize(
        ("given", "place", "sentence"),
        [
            (
                {"wallettransaction_amount-value": "many"},
                "wallettransaction_amount",
                "Coins: “many” is not a whole number.",
            ),
            (
                {"wallettransaction_amount-operator": "between", "wallettransaction_amount-value": "5"},
                "wallettransaction_amount",
                "Coins: between takes two values, the lower and the upper one.",
            ),
            (
                {
                    "wallettransaction_amount-operator": "between",
                    "wallettransaction_amount-value": "5",
                    "wallettransaction_amount-upper": "2",
                },
                "wallettransaction_amount",
                "Coins: “5” is more than “2”.",
            ),
            (
                {"wallettransaction_created_at-value": "0"},
                "wallettransaction_created_at",
                "Created at: enter a number of days from 1 to 3650.",
            ),
        ],
    )
    def test_what_does_not_fit_is_told_at_its_field(
        self, client: Client, integration: Integration, given: dict[str, str], place: str, sentence: str
    ) -> None:
        answer = client.post(ADD, entered(integration, **{f"restrict-{name}": value for name, value in given.items()}))
        wrong = {one.field.name: one.errors["value"] for one in answer.context["form"].restriction_forms if one.errors}
        assert wrong == {place: [sentence]}
        assert not Subscription.objects.exists()

    def test_an_integration_is_needed(self, client: Client, integration: Integration) -> None:
        form = client.post(ADD, entered(integration, integration="")).context["form"]
        assert form.errors == {"integration": ["Choose where the event goes."]}

    def test_an_unknown_event_is_refused(self, client: Client, integration: Integration) -> None:
        answer = client.post(ADD, entered(integration, event_key="coin_flip"))
        assert "event_key" in answer.context["form"].errors
        assert not Subscription.objects.exists()

    def test_only_integrations_of_the_store_that_are_on_can_be_chosen(
        self, client: Client, store: Store, other_store: Store, integration: Integration
    ) -> None:
        make_integration(store, name="Off", enabled=False)
        gone = make_integration(store, name="Gone")
        gone.archive()
        foreign = make_integration(other_store)
        form = client.get(ADD, {"event": "lead_create"}).context["form"]
        assert [str(label) for _, label in form.fields["integration"].choices] == [
            "Choose an integration",
            "Klaviyo main account",
        ]
        assert client.post(ADD, entered(foreign)).context["form"].errors.keys() == {"integration"}

    def test_a_viewer_cannot(self, viewer: User, integration: Integration, signed_in: Callable[[User], Client]) -> None:
        client = signed_in(viewer)
        assert client.get(ADD).status_code == 403
        assert client.post(ADD, entered(integration)).status_code == 403
        assert not Subscription.objects.exists()


class TestEditing:
    def test_what_was_saved_shows_and_is_kept(self, client: Client, integration: Integration) -> None:
        stored: list[dict[str, Any]] = [
            {"field": "wallettransaction_amount", "operator": "at_least", "value": 10},
            {"field": "wallettransaction_amount", "operator": "at_most", "value": 90},
            {"field": "wallettransaction_title", "operator": "contains", "value": "Order"},
            {"field": "user_tier", "operator": "any_of", "value": ["Gold", "Silver, old"]},
            {"field": "user_has_mobile", "operator": "is", "value": False},
        ]
        send_event = make_subscription(integration, "walletreward_create", *stored)
        form = client.get(page_of(send_event)).context["form"]
        shown = {
            name: value
            for one in form.restriction_forms
            for name, value in ((one.add_prefix(field), one[field].value()) for field in one.fields)
            if value not in (None, "")
        }
        client.post(page_of(send_event), entered(integration, **shown))
        send_event.refresh_from_db()
        assert send_event.restrictions == stored
        assert send_event.versions.count() == 1  # nothing that decides over sending changed

    def test_its_event_stays(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration, "coupon_create")
        assert client.post(page_of(send_event), entered(integration, name="x")).status_code == 302
        send_event.refresh_from_db()
        assert (send_event.event_key, send_event.name) == ("coupon_create", "x")

    def test_an_integration_that_is_off_may_stay(self, client: Client, store: Store) -> None:
        off = make_integration(store, name="Off", enabled=False)
        send_event = make_subscription(off)
        assert client.post(page_of(send_event), entered(off, name="still")).status_code == 302
        send_event.refresh_from_db()
        assert send_event.name == "still"

    def test_a_restriction_that_fits_no_more_is_told_and_goes(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration, "lead_create")
        Subscription.objects.update(restrictions=[{"field": "shoe_size", "operator": "is", "value": 44}])
        page = client.get(page_of(send_event)).content.decode()
        assert "Customer Is Created cannot be restricted by “shoe_size”." in page
        client.post(page_of(send_event), entered(integration))
        send_event.refresh_from_db()
        assert send_event.restrictions == []

    def test_the_history_says_what_changed(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration)
        client.post(page_of(send_event), entered(integration, **{"restrict-wallettransaction_amount-value": "5"}))
        page = client.get(f"/admin/events/subscription/{send_event.pk}/history/").content.decode()
        assert "Changed restrictions." in page

    def test_another_stores_cannot_be_reached(
        self, integration: Integration, stranger: User, signed_in: Callable[[User], Client]
    ) -> None:
        send_event = make_subscription(integration)
        client = signed_in(stranger)
        for path in (page_of(send_event), page_of(send_event).replace("change", "delete")):
            assert client.get(path).status_code == 302
        client.post(f"/admin/events/subscription/{send_event.pk}/switch/", {"on": "0"})
        send_event.refresh_from_db()
        assert send_event.enabled


class TestList:
    def test_each_says_what_it_did(self, client: Client, customer: Customer, integration: Integration) -> None:
        busy = make_subscription(integration, name="busy")
        make_subscription(integration, name="idle")
        give_coins(customer, 5)
        minutes = (timezone.now() - timedelta(days=days) for days in (1, 6, 8))
        for sent, minute in enumerate(minutes, start=1):
            Tally.objects.create(
                store=busy.store, integration=integration, subscription=busy, minute=minute, sent=sent * 10
            )
        Delivery.objects.filter(subscription=busy).update(status="failed")
        lines = {line.send_event.name: line for line in client.get(LIST).context["lines"]}
        assert lines["busy"].figures.sent == 30
        assert lines["busy"].figures.last.reading == "failed"
        assert lines["idle"].figures.sent == 0
        assert lines["idle"].figures.last.reading == "pending"

    def test_what_fits_no_more_is_told(self, client: Client, integration: Integration) -> None:
        make_subscription(integration, "lead_create", {"field": "shoe_size", "operator": "is", "value": 44})
        assert "Customer Is Created cannot be restricted by “shoe_size”." in client.get(LIST).content.decode()

    def test_no_more_queries_for_many(
        self, client: Client, customer: Customer, integration: Integration, django_assert_max_num_queries: Any
    ) -> None:
        make_subscription(integration)
        give_coins(customer, 5)
        with CaptureQueriesContext(connection) as few:
            client.get(LIST)
        for number in range(20):
            make_subscription(integration, name=f"number_{number}")
        give_coins(customer, 5)
        with django_assert_max_num_queries(len(few)):
            client.get(LIST)
        assert len(few) <= 15


class TestEventsSwitch:
    def held(self, store: Store, count: int) -> None:
        """So many deliveries, recorded while events were off."""
        switch_off(store)
        make_subscription(make_integration(store), "lead_create")
        for _ in range(count):
            make_customer(store)

    @pytest.mark.parametrize(
        ("count", "sentence"),
        [
            (0, "Events are off: nothing is held yet."),
            (1, "Events are off: 1 is held."),
            (12, "Events are off: 12 are held."),
        ],
    )
    def test_off_says_what_is_held(self, client: Client, store: Store, count: int, sentence: str) -> None:
        self.held(store, count)
        assert client.get(LIST).context["switch_sentence"] == sentence

    def test_on_says_what_is_held_all_the_same(self, client: Client, customer: Customer) -> None:
        assert client.get(LIST).context["switch_sentence"] == "Events are on: what happens is sent at once."
        make_subscription(make_integration(customer.store, enabled=False))
        give_coins(customer, 5)
        sentence = "Events are on. 1 is held, because a send event or an integration is off or has to wait."
        assert client.get(LIST).context["switch_sentence"] == sentence

    def said(self, answer: Any) -> list[str]:
        return [str(message) for message in answer.context["messages"]]

    def test_without_anything_held_it_goes_on_at_once(self, client: Client, store: Store) -> None:
        self.held(store, 0)
        assert self.said(client.post(SWITCH, {"on": "1"}, follow=True)) == ["Events are on."]
        store.refresh_from_db()
        assert store.events_on

    @pytest.mark.parametrize(
        ("given", "said", "pending"),
        [
            ({"keep": "all"}, "Events are on. 3 of what was held go out now.", 3),
            ({"keep": "newer", "hours": "2"}, "Events are on. 1 of what was held goes out now. 2 were cancelled.", 1),
            ({"keep": "none"}, "Events are on. 3 were cancelled.", 0),
        ],
    )
    def test_what_is_held_is_asked_about(
        self, client: Client, store: Store, given: dict[str, str], said: str, pending: int
    ) -> None:
        self.held(store, 3)
        for delivery in Delivery.objects.all()[:2]:
            Delivery.objects.filter(pk=delivery.pk).update(recorded_at=timezone.now() - timedelta(hours=3))
        page = client.post(SWITCH, {"on": "1"}, follow=True).content.decode()
        assert "3 events are held, the oldest since" in page
        store.refresh_from_db()
        assert not store.events_on
        assert self.said(client.post(SWITCH, given, follow=True)) == [said]
        store.refresh_from_db()
        assert store.events_on
        assert Delivery.objects.filter(status="pending").count() == pending

    @pytest.mark.parametrize(
        ("given", "errors"),
        [
            ({}, {"keep": ["Choose what shall become of what is held."]}),
            ({"keep": "newer", "hours": ""}, {"hours": ["Enter how many hours old an event may be."]}),
            ({"keep": "newer", "hours": "soon"}, {"hours": ["Enter the hours as a whole number."]}),
            ({"keep": "newer", "hours": "0"}, {"hours": ["Enter at least 1 hour."]}),
        ],
    )
    def test_what_is_missing_is_told_at_its_field(
        self, client: Client, store: Store, given: dict[str, str], errors: dict[str, list[str]]
    ) -> None:
        self.held(store, 1)
        assert client.post(SWITCH, {"x": "", **given}).context["form"].errors == errors
        store.refresh_from_db()
        assert not store.events_on

    def test_off_at_once(self, client: Client, store: Store) -> None:
        said = self.said(client.post(SWITCH, {"on": "0"}, follow=True))
        assert said == ["Events are off: everything is recorded and held from now on."]
        store.refresh_from_db()
        assert not store.events_on

    def test_the_stores_history_tells_it(self, client: Client, store: Store) -> None:
        client.post(SWITCH, {"on": "0"})
        client.post(SWITCH, {"on": "1"})
        said = LogEntry.objects.filter(object_id=str(store.pk)).order_by("id")
        assert [entry.change_message for entry in said] == ["Switched events off.", "Switched events on."]

    @pytest.mark.parametrize("given", [{"on": "0"}, {"on": "1"}, {"keep": "all"}])
    def test_a_viewer_cannot(
        self, viewer: User, store: Store, signed_in: Callable[[User], Client], given: dict[str, str]
    ) -> None:
        assert signed_in(viewer).post(SWITCH, given).status_code == 403
        store.refresh_from_db()
        assert store.events_on


class TestSwitching:
    def test_off_and_on_from_the_row(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration)
        for on in ("0", "1"):
            page = client.post(f"/admin/events/subscription/{send_event.pk}/switch/", {"on": on}, follow=True)
            word = "on" if on == "1" else "off"
            assert f"Switched {word}: walletreward_create → Klaviyo main account" in page.content.decode()
        assert [version.enabled for version in send_event.versions.all()] == [True, False, True]

    def test_a_viewer_cannot(self, viewer: User, integration: Integration, signed_in: Callable[[User], Client]) -> None:
        send_event = make_subscription(integration)
        signed_in(viewer).post(f"/admin/events/subscription/{send_event.pk}/switch/", {"on": "0"})
        send_event.refresh_from_db()
        assert send_event.enabled


class TestDeleting:
    def test_it_is_archived(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration)
        client.post(f"/admin/events/subscription/{send_event.pk}/delete/", {"post": "yes"})
        send_event.refresh_from_db()
        assert send_event.archived_at is not None
        assert "No send event yet." in client.get("/admin/events/subscription/").content.decode()

    def test_it_can_be_read_and_no_more_changed(self, client: Client, integration: Integration) -> None:
        send_event = make_subscription(integration)
        send_event.archive()
        assert client.get(page_of(send_event)).status_code == 200
        assert client.post(page_of(send_event), entered(integration, name="x")).status_code == 403
        assert client.post(f"/admin/events/subscription/{send_event.pk}/delete/", {"post": "yes"}).status_code == 403
