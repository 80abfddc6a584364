"""The screens of the log, asked as a browser asks: what shows, who may do what, and what it does."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, Store
from events.admin import delivery as delivery_admin
from events.admin import paginator, together
from events.models import Delivery, Lane, Notice, Occurrence, Subscription, WakeUp
from integrations.models import Integration
from tests.api_fixtures import a_delivery, an_attempt, an_occurrence
from tests.factories import give_coins, make_customer, make_integration, make_subscription

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
LIST = "/admin/events/delivery/"
TOGETHER = "/admin/events/delivery/together/"
NOBODY = "01890000-0000-7000-8000-000000000000"  # nobody has this id


@pytest.fixture
def tool(store: Store) -> Integration:
    return make_integration(store, name="Shop")


@pytest.fixture
def send_event(tool: Integration) -> Subscription:
    return make_subscription(tool, "walletreward_create")


@pytest.fixture
def delivery(customer: Customer, send_event: Subscription) -> Delivery:
    """Ada's reward, pending."""
    give_coins(customer, 50)
    return Delivery.objects.get()


def some(customer: Customer, send_event: Subscription, number: int, **columns: Any) -> list[Delivery]:
    """So many deliveries of this send event, oldest first."""
    return [a_delivery(an_occurrence(customer), send_event, **columns) for _ in range(number)]


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def listed(client: Client, query: str = "", *, of: str = LIST) -> list[str]:
    """The ids that the list shows, newest first."""
    answer = client.get(f"{of}?{query}")
    assert answer.status_code == 200, (query, answer.get("Location"))
    return [str(row.pk) for row in answer.context["cl"].result_list]


def ids(*rows: Any) -> list[str]:
    return [str(row.pk) for row in rows]


class TestDeliveries:
    def test_the_list_shows_them(self, delivery: Delivery, viewer: User, signed_in: SignIn) -> None:
        answer = signed_in(viewer).get(LIST).content.decode()
        assert "walletreward_create → Shop" in answer
        assert "1 delivery." in answer

    def test_the_page_shows_it(self, delivery: Delivery, viewer: User, signed_in: SignIn) -> None:
        answer = signed_in(viewer).get(f"{LIST}{delivery.pk}/change/").content.decode()
        assert "<strong>Recorded</strong>" in answer
        assert "and waits for its turn" in answer

    @pytest.mark.parametrize("id", [NOBODY, "nonsense", "0"])
    def test_what_is_not_there_leads_to_the_list(self, viewer: User, signed_in: SignIn, id: str) -> None:
        answer = signed_in(viewer).get(f"{LIST}{id}/change/")
        assert (answer.status_code, answer["Location"]) == (302, LIST)
        assert said(answer) == ["There is no such delivery in this store."]

    def test_nobody_writes_to_its_page(self, delivery: Delivery, owner: User, signed_in: SignIn) -> None:
        assert signed_in(owner).post(f"{LIST}{delivery.pk}/change/", {"status": "sent"}).status_code == 403

    def test_an_editor_cancels_it(self, delivery: Delivery, editor: User, signed_in: SignIn) -> None:
        answer = signed_in(editor).post(f"{LIST}{delivery.pk}/cancel/")
        assert said(answer) == ["It was cancelled: it will not be sent."]
        delivery.refresh_from_db()
        assert (delivery.status, delivery.reason) == ("cancelled", f"cancelled by {editor}")

    @pytest.mark.django_db(transaction=True)
    def test_an_editor_sends_it_again(self, delivery: Delivery, editor: User, signed_in: SignIn) -> None:
        delivery.cancel()
        WakeUp.objects.all().delete()
        answer = signed_in(editor).post(f"{LIST}{delivery.pk}/resend/")
        assert said(answer) == ["It will be sent again now, under the same id."]
        delivery.refresh_from_db()
        assert delivery.status == "pending"
        assert WakeUp.objects.filter(asked_at__isnull=False).exists()
        entry = LogEntry.objects.get()
        assert (entry.user, entry.object_id, entry.change_message) == (editor, str(delivery.pk), "Sent again")

    def test_what_cannot_be_done_is_a_sentence(self, delivery: Delivery, editor: User, signed_in: SignIn) -> None:
        client = signed_in(editor)
        assert said(client.post(f"{LIST}{delivery.pk}/resend/")) == ["It is already waiting to be sent."]
        Delivery.objects.update(status="sent")
        answer = client.post(f"{LIST}{delivery.pk}/cancel/")
        assert "Only a pending delivery can be cancelled." in said(answer)
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("word", ["cancel", "resend"])
    def test_a_viewer_does_neither(self, delivery: Delivery, viewer: User, signed_in: SignIn, word: str) -> None:
        client = signed_in(viewer)
        assert client.post(f"{LIST}{delivery.pk}/{word}/").status_code == 403
        assert client.get(f"{LIST}{delivery.pk}/{word}/").status_code == 405
        delivery.refresh_from_db()
        assert delivery.status == "pending"

    @pytest.mark.parametrize("word", ["cancel", "resend"])
    def test_another_stores_is_not_there(
        self, delivery: Delivery, stranger: User, signed_in: SignIn, word: str
    ) -> None:
        answer = signed_in(stranger).post(f"{LIST}{delivery.pk}/{word}/")
        assert said(answer) == ["There is no such delivery in this store."]
        delivery.refresh_from_db()
        assert delivery.status == "pending"


class TestFilters:
    @pytest.fixture
    def client(self, viewer: User, signed_in: SignIn) -> Client:
        return signed_in(viewer)

    @pytest.mark.parametrize("status", ["pending", "sending", "sent", "skipped", "failed", "cancelled"])
    def test_by_status(self, client: Client, customer: Customer, send_event: Subscription, status: str) -> None:
        every = {one: some(customer, send_event, 1, status=one)[0] for one in ("pending", "sent", "failed", "skipped")}
        every |= {one: some(customer, send_event, 1, status=one)[0] for one in ("sending", "cancelled")}
        assert listed(client, f"status={status}") == ids(every[status])

    def test_held_and_retrying_are_readings_of_pending(
        self, client: Client, store: Store, customer: Customer, send_event: Subscription
    ) -> None:
        off = make_integration(store, enabled=False)
        (held,) = some(customer, make_subscription(off), 1, tries=1)
        (retrying,) = some(customer, send_event, 1, tries=1)
        (pending,) = some(customer, send_event, 1)
        assert listed(client, "status=held") == ids(held)
        assert listed(client, "status=retrying") == ids(retrying)
        assert listed(client, "status=pending") == ids(pending, retrying, held)
        Store.objects.update(events_on=False)
        assert listed(client, "status=held") == ids(pending, retrying, held)
        assert listed(client, "status=retrying") == []

    def test_by_event(self, client: Client, customer: Customer, tool: Integration, delivery: Delivery) -> None:
        (coupon,) = some(customer, make_subscription(tool, "coupon_create"), 1, event_key="coupon_create")
        assert listed(client, "event=coupon_create") == ids(coupon)

    def test_by_integration_and_send_event(
        self, client: Client, store: Store, customer: Customer, delivery: Delivery
    ) -> None:
        other = make_subscription(make_integration(store, name="Mailer"))
        (another,) = some(customer, other, 1)
        assert listed(client, f"integration={other.integration_id}") == ids(another)
        assert listed(client, f"send_event={other.pk}") == ids(another)
        assert listed(client, f"send_event={other.pk}&integration={delivery.integration_id}") == []

    def test_what_was_deleted_can_still_be_chosen(self, client: Client, delivery: Delivery) -> None:
        delivery.integration.archive()
        assert listed(client, f"integration={delivery.integration_id}") == ids(delivery)
        answer = client.get(LIST).content.decode()
        assert "Shop (deleted)" in answer
        assert "walletreward_create → Shop (deleted)" in answer

    @pytest.mark.parametrize(("time", "shown"), [("hour", 1), ("day", 2), ("week", 3), ("month", 4), ("", 5)])
    def test_by_time(self, client: Client, customer: Customer, send_event: Subscription, time: str, shown: int) -> None:
        for days in (40, 20, 5, 0.5, 0):
            some(customer, send_event, 1, recorded_at=timezone.now() - timedelta(days=days))
        assert len(listed(client, f"time={time}")) == shown

    def test_by_test_or_real(self, client: Client, customer: Customer, send_event: Subscription) -> None:
        (real,) = some(customer, send_event, 1)
        (test,) = some(customer, send_event, 1, is_test=True, status="sent")
        assert listed(client, "test=yes") == ids(test)
        assert listed(client, "test=no") == ids(real)

    @pytest.mark.parametrize("query", ["status=late", "integration=nonsense", "time=ever", "test=maybe", "event=x"])
    def test_a_value_that_is_not_offered_filters_nothing(self, client: Client, delivery: Delivery, query: str) -> None:
        assert listed(client, query) == ids(delivery)

    def test_another_stores_rows_cannot_be_chosen(self, client: Client, delivery: Delivery, other_store: Store) -> None:
        theirs = make_integration(other_store, name="Theirs")
        answer = client.get(f"{LIST}?integration={theirs.pk}")
        assert [row.pk for row in answer.context["cl"].result_list] == [delivery.pk]
        assert "Theirs" not in answer.content.decode()

    @pytest.mark.parametrize("query", ["reason__contains=x", "claim=1", "store__name=x"])
    def test_what_has_no_index_is_not_asked(self, client: Client, query: str) -> None:
        answer = client.get(f"{LIST}?{query}")
        assert (answer.status_code, answer["Location"]) == (302, LIST)
        assert said(answer) == ["The list cannot be narrowed by that."]


class TestSearch:
    @pytest.fixture
    def client(self, viewer: User, signed_in: SignIn) -> Client:
        return signed_in(viewer)

    @pytest.mark.parametrize(
        "term",
        ["ada@example.com", " ADA@Example.com ", "C-17", "+49 1511 2345678", "01511 2345678", "{customer.pk}"],
    )
    def test_by_the_customer(
        self, client: Client, store: Store, delivery: Delivery, customer: Customer, term: str
    ) -> None:
        customer.external_id = "C-17"
        customer.save()
        some(make_customer(store, external_id="C-1"), delivery.subscription, 1)  # type: ignore[arg-type]
        answer = client.get(LIST, {"q": term.format(customer=customer)})
        found = [row.customer for row in answer.context["cl"].result_list]
        assert found
        assert set(found) == {customer}

    def test_by_the_delivery_and_the_event(self, client: Client, customer: Customer, delivery: Delivery) -> None:
        assert delivery.subscription
        some(customer, delivery.subscription, 1)
        assert listed(client, f"q={delivery.pk}") == ids(delivery)
        assert listed(client, f"q={delivery.pk.hex}") == ids(delivery)
        assert listed(client, f"q={delivery.occurrence.event_id}") == ids(delivery)

    @pytest.mark.parametrize("term", ["ada", "example.com", "C-", "%", "nobody", NOBODY, "\u202e", "'; --"])
    def test_only_exactly(self, client: Client, delivery: Delivery, term: str) -> None:
        answer = client.get(LIST, {"q": term})
        assert list(answer.context["cl"].result_list) == []
        assert "No delivery matches." in answer.content.decode()

    def test_within_the_filters(self, client: Client, customer: Customer, delivery: Delivery) -> None:
        assert listed(client, "q=ada@example.com&status=failed") == []

    def test_another_stores_are_not_found(
        self, delivery: Delivery, stranger: User, signed_in: SignIn, customer: Customer
    ) -> None:
        client = signed_in(stranger)
        for term in (delivery.pk, delivery.occurrence.event_id, customer.email, customer.pk):
            assert listed(client, f"q={term}") == []


class TestPages:
    @pytest.fixture
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that nobody has to write ten thousand rows."""
        monkeypatch.setattr(paginator, "MOST", 6)
        monkeypatch.setattr(delivery_admin.DeliveryAdmin, "list_per_page", 3)

    def test_newest_first_and_older_ones_on_the_next(
        self, few: None, customer: Customer, send_event: Subscription, viewer: User, signed_in: SignIn
    ) -> None:
        rows = some(customer, send_event, 5)
        client = signed_in(viewer)
        first = client.get(f"{LIST}?status=pending")
        assert ids(*first.context["cl"].result_list) == ids(*rows[:1:-1])
        assert "5 deliveries. Page 1 of 2." in first.content.decode()
        older = re.search(r'href="([^"]*)" rel="next"', first.content.decode())
        assert older
        assert listed(client, older[1].replace("&amp;", "&")[1:]) == ids(rows[1], rows[0])

    def test_it_never_counts_further_and_asks_to_narrow(
        self, few: None, customer: Customer, send_event: Subscription, viewer: User, signed_in: SignIn
    ) -> None:
        some(customer, send_event, 9)
        with CaptureQueriesContext(connection) as queries:
            answer = signed_in(viewer).get(LIST).content.decode()
        assert "More than 6 deliveries match, and only the newest 6 can be leafed through. Narrow the list" in answer
        assert "Page 1 of 2." in answer
        counts = [one["sql"] for one in queries.captured_queries if "COUNT(" in one["sql"]]
        assert counts
        assert all("LIMIT 7" in sql for sql in counts)

    def test_as_many_queries_for_50_as_for_5(
        self, customer: Customer, send_event: Subscription, editor: User, signed_in: SignIn
    ) -> None:
        client = signed_in(editor)
        some(customer, send_event, 5)
        client.get(LIST)
        with CaptureQueriesContext(connection) as few:
            client.get(LIST)
        some(customer, send_event, 45)
        with CaptureQueriesContext(connection) as many:
            assert len(listed(client)) == 50
        assert len(few) == len(many) < 15


class TestTogether:
    @pytest.fixture
    def rows(self, customer: Customer, send_event: Subscription) -> list[Delivery]:
        """Two failed, one sent, one pending, one test."""
        return [
            *some(customer, send_event, 2, status="failed"),
            *some(customer, send_event, 1, status="sent"),
            *some(customer, send_event, 1),
            *some(customer, send_event, 1, status="sent", is_test=True),
        ]

    @pytest.fixture
    def client(self, editor: User, signed_in: SignIn) -> Client:
        return signed_in(editor)

    def statuses(self) -> list[str]:
        return list(Delivery.objects.order_by("id").values_list("status", flat=True))

    def test_first_it_says_to_how_many(self, client: Client, rows: list[Delivery]) -> None:
        answer = client.post(TOGETHER, {"do": "resend", "ids": ids(*rows)})
        page = answer.content.decode()
        assert "<h1>Send 3 deliveries again?</h1>" in page
        assert "2 of the 5 chosen stay as they are: they wait already, are test events, or their send event" in page
        assert "1 was accepted before: the tool gets it a second time, under the same id." in page
        assert "walletreward_create → Shop" in page
        assert self.statuses() == ["failed", "failed", "sent", "pending", "sent"]

    def test_and_then_it_does_it(self, client: Client, rows: list[Delivery]) -> None:
        answer = client.post(TOGETHER, {"do": "resend", "ids": ids(*rows), "sure": "yes"})
        assert (answer.status_code, answer["Location"]) == (302, LIST)
        assert said(answer) == ["3 deliveries will be sent again now, under the same ids."]
        assert self.statuses() == ["pending", "pending", "pending", "pending", "sent"]
        entry = LogEntry.objects.get()
        assert (entry.object_repr, entry.change_message) == ("3 deliveries", "Sent again")

    def test_cancelling(self, client: Client, editor: User, rows: list[Delivery]) -> None:
        page = client.post(TOGETHER, {"do": "cancel", "ids": ids(*rows)}).content.decode()
        assert "<h1>Cancel 1 delivery?</h1>" in page
        assert "4 of the 5 chosen stay as they are: only what waits to be sent can be cancelled." in page
        answer = client.post(TOGETHER, {"do": "cancel", "ids": ids(*rows), "sure": "yes"})
        assert said(answer) == ["1 delivery cancelled: they will not be sent."]
        assert Delivery.objects.get(status="cancelled").reason == f"cancelled by {editor}"

    def test_all_that_match_on_every_page(
        self, client: Client, rows: list[Delivery], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery_admin.DeliveryAdmin, "list_per_page", 1)
        asked = {"do": "resend", "which": "all"}
        page = client.post(f"{TOGETHER}?status=failed", asked).content.decode()
        assert "<h1>Send 2 deliveries again?</h1>" in page
        assert 'action="/admin/events/delivery/together/?status=failed"' in page
        answer = client.post(f"{TOGETHER}?status=failed", {**asked, "sure": "yes"})
        assert answer["Location"] == f"{LIST}?status=failed"
        assert self.statuses() == ["pending", "pending", "sent", "pending", "sent"]

    def test_what_comes_after_the_question_is_not_meant(
        self, client: Client, customer: Customer, send_event: Subscription, rows: list[Delivery]
    ) -> None:
        asked = {"do": "resend", "which": "all"}
        page = client.post(f"{TOGETHER}?status=failed", asked).content.decode()
        newest = re.search(r'name="newest" value="([^"]+)"', page)
        assert newest
        some(customer, send_event, 1, status="failed")
        client.post(f"{TOGETHER}?status=failed", {**asked, "sure": "yes", "newest": newest[1]})
        assert Delivery.objects.filter(status="failed").count() == 1

    def test_too_many_are_refused(self, client: Client, rows: list[Delivery], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(together, "MOST", 4)
        answer = client.post(TOGETHER, {"do": "resend", "which": "all"})
        assert said(answer) == ["More than 4 deliveries match. Narrow the list first."]

    def test_in_batches_they_all_go(
        self, client: Client, rows: list[Delivery], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(together, "BATCH", 2)
        client.post(TOGETHER, {"do": "resend", "which": "all", "sure": "yes"})
        assert self.statuses() == ["pending", "pending", "pending", "pending", "sent"]

    @pytest.mark.parametrize("chosen", [{}, {"ids": "nonsense"}, {"ids": NOBODY}])
    def test_nothing_is_ticked(self, client: Client, rows: list[Delivery], chosen: dict[str, str]) -> None:
        answer = client.post(TOGETHER, {"do": "resend", **chosen})
        assert said(answer) == ["Tick the deliveries first."]

    def test_what_cannot_be_done_changes_nothing(self, client: Client, rows: list[Delivery]) -> None:
        before = self.statuses()
        answer = client.post(f"{TOGETHER}?status=sent", {"do": "burn", "ids": ids(*rows), "sure": "yes"})
        assert answer["Location"] == f"{LIST}?status=sent"
        assert self.statuses() == before

    def test_a_viewer_does_not(self, rows: list[Delivery], viewer: User, signed_in: SignIn) -> None:
        answer = signed_in(viewer).post(TOGETHER, {"do": "resend", "ids": ids(*rows), "sure": "yes"})
        assert answer.status_code == 403

    @pytest.mark.parametrize("which", ["", "all"])
    def test_another_stores_are_not_reached(
        self, rows: list[Delivery], stranger: User, signed_in: SignIn, which: str
    ) -> None:
        before = self.statuses()
        answer = signed_in(stranger).post(TOGETHER, {"do": "resend", "which": which, "ids": ids(*rows), "sure": "yes"})
        assert said(answer) == ["0 deliveries will be sent again now, under the same ids."]
        assert self.statuses() == before


class TestOccurrences:
    def test_the_page_says_why(self, delivery: Delivery, viewer: User, signed_in: SignIn) -> None:
        answer = signed_in(viewer).get(f"/admin/events/occurrence/{delivery.occurrence_id}/change/")
        assert "It is waiting for its turn." in answer.content.decode()

    @pytest.mark.parametrize("id", ["99999999", "99999999999999999999", "nonsense"])
    def test_what_is_not_there_leads_to_the_list(self, viewer: User, signed_in: SignIn, id: str) -> None:
        answer = signed_in(viewer).get(f"/admin/events/occurrence/{id}/change/")
        assert said(answer) == ["There is no such occurrence in this store."]

    def test_by_kind_and_event(self, customer: Customer, viewer: User, signed_in: SignIn) -> None:
        real = Occurrence.objects.get()
        silent = an_occurrence(customer, silent=True)
        test = an_occurrence(customer, is_test=True)
        broken = an_occurrence(customer, error="It could not be built.")
        client, of = signed_in(viewer), "/admin/events/occurrence/"
        assert listed(client, of=of) == ids(broken, test, silent, real)
        assert listed(client, "kind=attention", of=of) == ids(broken)
        assert listed(client, "kind=real", of=of) == ids(broken, real)
        assert listed(client, "kind=silent", of=of) == ids(silent)
        assert listed(client, "kind=test", of=of) == ids(test)
        assert listed(client, "event=lead_create", of=of) == ids(real)

    def test_search(self, customer: Customer, store: Store, viewer: User, signed_in: SignIn) -> None:
        mine = Occurrence.objects.get()
        make_customer(store)
        client, of = signed_in(viewer), "/admin/events/occurrence/"
        for term in ("ada@example.com", f"%23{mine.pk}", mine.event_id, customer.pk):
            assert listed(client, f"q={term}", of=of) == ids(mine)
        for term in ("%23", "%23x", f"%23{10**30}", str(mine.pk), NOBODY):
            assert listed(client, f"q={term}", of=of) == []

    def test_nothing_is_left_to_evaluate(self, delivery: Delivery, editor: User, signed_in: SignIn) -> None:
        answer = signed_in(editor).post(f"/admin/events/occurrence/{delivery.occurrence_id}/evaluate/")
        assert said(answer) == ["Nothing is left to evaluate."]

    def test_an_editor_evaluates_again(self, delivery: Delivery, editor: User, signed_in: SignIn) -> None:
        Occurrence.objects.update(error="It could not be built.")
        delivery.delete()
        answer = signed_in(editor).post(f"/admin/events/occurrence/{delivery.occurrence_id}/evaluate/")
        assert said(answer) == ["It was evaluated again: 1 delivery added."]

    def test_what_still_cannot_be_evaluated(
        self, customer: Customer, tool: Integration, editor: User, signed_in: SignIn
    ) -> None:
        make_subscription(tool, "walletreward_create", {"field": "colour", "operator": "is", "value": "red"})
        give_coins(customer, 50)
        occurrence = Occurrence.objects.latest("id")
        answer = signed_in(editor).post(f"/admin/events/occurrence/{occurrence.pk}/evaluate/")
        assert said(answer) == ["It still cannot be evaluated in full: 0 deliveries added."]

    def test_a_viewer_does_not(self, delivery: Delivery, viewer: User, signed_in: SignIn) -> None:
        Occurrence.objects.update(error="It could not be built.")
        client = signed_in(viewer)
        assert client.post(f"/admin/events/occurrence/{delivery.occurrence_id}/evaluate/").status_code == 403
        page = client.get(f"/admin/events/occurrence/{delivery.occurrence_id}/change/").content.decode()
        assert "It could not be built." in page
        assert "Evaluate again" not in page


class TestTimeline:
    def url(self, customer: Customer) -> str:
        return f"/admin/events/occurrence/customer/{customer.pk}/"

    def test_newest_first_a_page_at_a_time(self, customer: Customer, viewer: User, signed_in: SignIn) -> None:
        rows = [an_occurrence(customer) for _ in range(30)]
        client = signed_in(viewer)
        first = client.get(self.url(customer))
        assert [one.occurrence.pk for one in first.context["story"]] == [row.pk for row in rows[:4:-1]]
        assert "31 events. Page 1 of 2." in first.content.decode()
        second = client.get(self.url(customer), {"p": 2})
        assert len(second.context["story"]) == 6
        assert "Ada joined" in second.content.decode()

    @pytest.mark.parametrize("page", ["0", "x", "99"])
    def test_a_page_that_is_none_shows_another(
        self, customer: Customer, viewer: User, signed_in: SignIn, page: str
    ) -> None:
        assert signed_in(viewer).get(self.url(customer), {"p": page}).status_code == 200

    def test_only_of_this_person(self, store: Store, customer: Customer, viewer: User, signed_in: SignIn) -> None:
        make_customer(store)
        assert len(signed_in(viewer).get(self.url(customer)).context["story"]) == 1

    def test_another_stores_customer_is_not_there(self, customer: Customer, stranger: User, signed_in: SignIn) -> None:
        answer = signed_in(stranger).get(self.url(customer))
        assert answer["Location"] == "/admin/customers/customer/"
        assert said(answer) == ["There is no such customer in this store."]

    def test_as_many_queries_for_25_as_for_5(
        self, customer: Customer, tool: Integration, viewer: User, signed_in: SignIn
    ) -> None:
        client = signed_in(viewer)
        make_subscription(tool)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                client.get(self.url(customer))
            return len(captured)

        for _ in range(4):
            give_coins(customer, 10)
        few = queries()
        for number in range(20):
            make_subscription(tool, name=f"n{number}")
            give_coins(customer, 10)
        assert queries() == few < 15


class TestNotices:
    @pytest.fixture
    def notice(self, store: Store, tool: Integration) -> Notice:
        return Notice.objects.create(store=store, integration=tool, text="The integration Shop was switched off.")

    def test_an_editor_dismisses_it(self, notice: Notice, editor: User, signed_in: SignIn) -> None:
        client = signed_in(editor)
        assert notice.text in client.get("/admin/events/notice/").content.decode()
        answer = client.post(f"/admin/events/notice/{notice.pk}/dismiss/")
        assert (answer["Location"], said(answer)) == ("/admin/events/notice/", ["The notice was dismissed."])
        notice.refresh_from_db()
        assert notice.dismissed_at is not None
        assert listed(client, "state=open", of="/admin/events/notice/") == []
        assert listed(client, "state=dismissed", of="/admin/events/notice/") == ids(notice)

    def test_the_first_time_counts(self, notice: Notice) -> None:
        notice.dismiss()
        first = notice.dismissed_at
        notice.dismiss()
        assert notice.dismissed_at == first

    def test_a_viewer_does_not(self, notice: Notice, viewer: User, signed_in: SignIn) -> None:
        client = signed_in(viewer)
        assert client.post(f"/admin/events/notice/{notice.pk}/dismiss/").status_code == 403
        assert "Dismiss</button>" not in client.get(f"/admin/events/notice/{notice.pk}/change/").content.decode()

    def test_its_page_leads_to_the_integration(self, notice: Notice, viewer: User, signed_in: SignIn) -> None:
        assert "Go to Shop" in signed_in(viewer).get(f"/admin/events/notice/{notice.pk}/change/").content.decode()


class TestPageOfADelivery:
    def test_as_many_queries_for_many_tries_as_for_one(
        self, delivery: Delivery, editor: User, signed_in: SignIn
    ) -> None:
        client = signed_in(editor)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                client.get(f"{LIST}{delivery.pk}/change/")
            return len(captured)

        an_attempt(delivery)
        queries()
        few = queries()
        for number in range(2, 30):
            an_attempt(delivery, number=number)
        assert queries() == few < 15

    def test_what_holds_it(self, delivery: Delivery, viewer: User, signed_in: SignIn) -> None:
        Lane.objects.update(closed="breaker", probe_at=timezone.now())
        page = signed_in(viewer).get(f"{LIST}{delivery.pk}/change/").content.decode()
        assert "Shop is held, because too many failures in a row. It is tried with one delivery at <time" in page
