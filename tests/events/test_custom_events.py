"""Custom events: told by an app, restricted by what it sends along, and sent like every other event."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from rest_framework.test import APIClient

from customers.facts import Fact
from customers.models import Customer, CustomEvent, Store
from customers.refusals import Conflict
from events import sending
from events.catalogue import event_type
from events.fields import Kind
from events.matching import would_match
from events.models import Delivery, Occurrence, Subscription
from events.restrictions import OPERATORS, Finding, RestrictionError, read_restriction, read_restrictions
from integrations.models import Integration
from tests.api_fixtures import problem, refusal
from tests.concurrency import at_once
from tests.factories import make_customer, make_integration, make_store, make_subscription
from tests.receiver import Receiver

EVENTS = "/api/v1/events/"
SEND_EVENTS = "/api/v1/send-events/"
ADD = "/admin/events/subscription/add/"
LEFT_OUT = object()


def emit(customer: Customer, topic: str = "quiz_finished", **more: Any) -> CustomEvent:
    event, _ = CustomEvent.objects.emit(store=customer.store, customer=customer, topic=topic, **more)
    return event


def stored(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": f"property_{name}", "operator": operator, "value": value}


def found(operator: str, value: Any, in_payload: Any) -> Finding:
    payload = {} if in_payload is LEFT_OUT else {"property_score": in_payload}
    restriction = read_restriction(event_type("custom"), stored("score", operator, value))
    return restriction.judge(payload, now=datetime.now(UTC))


@pytest.mark.django_db
class TestEmit:
    def test_it_is_one_fact_with_its_properties(self, customer: Customer, heard: list[list[Fact]]) -> None:
        event = emit(
            customer, " quiz_finished ", properties={"score": 8, "level": "hard", "passed": True, "coach": None}
        )
        assert [type(fact.instance).__name__ for one in heard for fact in one][-1:] == ["CustomEvent"]
        occurrence = Occurrence.objects.get(event_key="custom")
        own = {name: value for name, value in occurrence.payload.items() if name.startswith(("custom_", "property_"))}
        assert own == {
            "custom_event_id": str(event.pk),
            "custom_topic": "quiz_finished",
            "custom_reference": None,
            "custom_occurred_at": event.occurred_at.isoformat(),
            "property_score": 8,
            "property_level": "hard",
            "property_passed": True,
            "property_coach": None,
        }
        assert occurrence.told == "quiz_finished: level hard, passed yes, score 8"

    def test_the_same_reference_is_told_once(self, customer: Customer) -> None:
        first, new = CustomEvent.objects.emit(
            store=customer.store, customer=customer, topic="quiz", reference=" q-1 ", properties={"a": 1}
        )
        again, known = CustomEvent.objects.emit(
            store=customer.store, customer=customer, topic="quiz", reference="q-1", properties={"a": 1}
        )
        assert (new, known, first.pk) == (True, False, again.pk)
        with pytest.raises(Conflict) as raised:
            emit(customer, "quiz", reference="q-1", properties={"a": 2})
        assert str(raised.value) == "The reference q-1 was already used for another event of this store."
        assert Occurrence.objects.filter(event_key="custom").count() == 1

    def test_without_a_reference_each_counts(self, customer: Customer) -> None:
        assert emit(customer).pk != emit(customer).pk

    def test_a_customer_of_another_store_is_refused(self, customer: Customer) -> None:
        with pytest.raises(ValidationError) as raised:
            CustomEvent.objects.emit(store=make_store(), customer=customer, topic="quiz")
        assert raised.value.messages == ["This customer is not one of this store's."]

    def test_it_is_never_altered(self, customer: Customer) -> None:
        event = emit(customer)
        event.topic = "other"
        with pytest.raises(TypeError):
            event.save()

    def test_it_goes_with_its_customer(self, customer: Customer) -> None:
        emit(customer)
        customer.delete()
        assert not CustomEvent.objects.exists()

    @pytest.mark.parametrize("number", [1, 20])
    def test_it_costs_the_same_for_many_properties(
        self, customer: Customer, django_assert_num_queries: Any, number: int
    ) -> None:
        with django_assert_num_queries(5):
            emit(customer, properties={f"p{count}": count for count in range(number)})


@pytest.mark.django_db(transaction=True)
def test_one_reference_told_at_once_is_one_event(customer: Customer) -> None:
    done = at_once(*[partial(emit, customer, reference="q-1")] * 6)
    assert Counter(type(end).__name__ for end in done) == {"CustomEvent": 6}
    assert CustomEvent.objects.count() == Occurrence.objects.filter(event_key="custom").count() == 1


@pytest.mark.django_db
class TestApi:
    BODY = {"customer_email": "ada@example.com", "topic": "quiz_finished", "properties": {"score": 8, "passed": True}}

    def test_one_is_told_and_read(self, api: APIClient, customer: Customer) -> None:
        answer = api.post(EVENTS, {**self.BODY, "reference": "q-1", "occurred_at": "2026-06-01T10:00:00Z"})
        event = CustomEvent.objects.get()
        assert answer.status_code == 201
        assert answer.json() == {
            "id": str(event.pk),
            "customer": str(customer.pk),
            "topic": "quiz_finished",
            "properties": {"score": 8, "passed": True},
            "reference": "q-1",
            "occurred_at": "2026-06-01T10:00:00Z",
            "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert api.get(f"{EVENTS}{event.pk}/").json() == answer.json()
        again = api.post(EVENTS, {**self.BODY, "reference": "q-1", "occurred_at": "2026-06-01T10:00:00Z"})
        assert (again.status_code, again.json()) == (200, answer.json())

    @pytest.mark.parametrize(
        ("more", "field", "sentence"),
        [
            (
                {"properties": {f"p{number}": 1 for number in range(21)}},
                "properties",
                "An event has at most 20 properties; these are 21.",
            ),
            (
                {"properties": {"quiz": {"score": 8}}},
                "properties",
                "quiz: a property is a text, a number, true, false or null; nothing nested.",
            ),
            (
                {"properties": {"scores": [8]}},
                "properties",
                "scores: a property is a text, a number, true, false or null; nothing nested.",
            ),
            (
                {"properties": {"my score": 8}},
                "properties",
                "“my score” is no name for a property: letters, digits and _, beginning with a letter, 60 at most.",
            ),
            ({"properties": {"x" * 61: 8}}, "properties", None),
            ({"properties": {"": 8}}, "properties", None),
            ({"properties": {"text": "x" * 501}}, "properties", "text: a text has at most 500 characters."),
            ({"properties": {"text": "\0"}}, "properties", "text: this text holds a character that cannot be stored."),
            (
                {"properties": {"text": "\ud800"}},
                "properties",
                "text: this text holds a character that cannot be stored.",
            ),
            (
                {"properties": {"much": 10**16}},
                "properties",
                "much: a number is at most 1,000,000,000,000,000, above or below zero.",
            ),
            ({"properties": [1]}, "properties", None),
            ({"topic": ""}, "topic", "This field may not be blank."),
            ({"topic": "  "}, "topic", "This field may not be blank."),
            ({"topic": "x" * 81}, "topic", "Ensure this field has no more than 80 characters."),
            (
                {"customer_email": "nobody@example.com"},
                "customer_email",
                "No customer of this store has the e-mail nobody@example.com.",
            ),
            ({"occurred_at": "yesterday"}, "occurred_at", None),
            ({"colour": "red"}, "colour", None),
        ],
    )
    def test_what_is_wrong_is_told_at_its_field(
        self, api: APIClient, customer: Customer, more: dict[str, Any], field: str, sentence: str | None
    ) -> None:
        body = json.dumps({**self.BODY, **more})  # escaped: JSON may say what no text can hold
        name, _, said = refusal(api.post(EVENTS, body, content_type="application/json"))
        assert name == field
        assert sentence in (None, said)
        assert not CustomEvent.objects.exists()

    def test_a_number_beyond_all_is_refused(self, api: APIClient, customer: Customer) -> None:
        body = json.dumps({**self.BODY, "properties": {"much": 1}}).replace('"much": 1', '"much": 1e400')
        assert problem(api.post(EVENTS, body, content_type="application/json"), 400)

    def test_the_catalogue_tells_how_properties_can_restrict(self, api: APIClient) -> None:
        shown = api.get("/api/v1/event-types/custom/").json()
        assert [one["key"] for one in shown["property_operators"]] == [
            *("at_least", "at_most", "between", "is", "is_not", "contains", "starts_with")
        ]
        assert "^property_[A-Za-z][A-Za-z0-9_]{0,59}$" in shown["schema"]["patternProperties"]

    def test_a_reference_for_something_else_is_a_conflict(self, api: APIClient, customer: Customer) -> None:
        api.post(EVENTS, {**self.BODY, "reference": "q-1"})
        answer = api.post(EVENTS, {**self.BODY, "topic": "other", "reference": "q-1"})
        assert refusal(answer, 409)[:2] == ("reference", "reference_conflict")

    def test_the_same_key_tells_once(self, api: APIClient, customer: Customer) -> None:
        first, again = (api.post(EVENTS, self.BODY, headers={"Idempotency-Key": "k-1"}) for _ in range(2))
        assert first.json() == json.loads(again.content)
        assert CustomEvent.objects.count() == 1

    @pytest.mark.parametrize("filters", [{"topic": "quiz_finished"}, {"reference": "q-1"}, {"customer": "{pk}"}])
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str]) -> None:
        event = emit(customer, reference="q-1")
        emit(make_customer(customer.store), "other")
        filters = {name: value.format(pk=customer.pk) for name, value in filters.items()}
        assert [row["id"] for row in api.get(EVENTS, filters).json()["results"]] == [str(event.pk)]


# (operator, value of the restriction): values found for which it holds, for which it does not, and unreadable ones.
TABLE: dict[tuple[str, str], tuple[list[Any], list[Any], list[Any]]] = {
    ("is", '"hard"'): (["hard"], ["Hard", "", 1, True], [["hard"], {}]),
    ("is", "10"): (["10", 10], ["10.0", 9], []),
    ("is", "true"): ([True, "true"], [False, "True"], []),
    ("is_not", '"hard"'): (["easy", 1, False], ["hard"], [["hard"]]),
    ("contains", '"AR"'): (["hard"], ["easy", 7], [{}]),
    ("starts_with", '"ha"'): (["Hard"], ["chart"], [[]]),
    ("at_least", "10"): ([10, "10", 10.5, "1e2"], [9, "9", -10], ["ten", True, [10], ""]),
    ("at_most", '"10"'): ([10, "9.5"], [11, 10.01], ["ten", False]),
    ("between", "[5, 10]"): ([5, "7.5", 10], [4, 11], ["seven", True]),
}
CASES = [
    pytest.param(key[0], json.loads(key[1]), value, holds, unclear, id=f"{'-'.join(key)}-{value!r}")
    for key, rows in TABLE.items()
    for (holds, unclear), values in zip([(True, False), (False, False), (False, True)], rows, strict=True)
    for value in values
]


class TestRestrictions:
    @pytest.mark.parametrize(("operator", "value", "in_payload", "holds", "unclear"), CASES)
    def test_by_the_table(self, operator: str, value: Any, in_payload: Any, holds: bool, unclear: bool) -> None:
        finding = found(operator, value, in_payload)
        assert (finding.holds, bool(finding.problem)) == (holds, unclear)

    def test_the_table_is_complete(self) -> None:
        assert {operator for operator, _ in TABLE} == {
            one.key for one in OPERATORS.values() if Kind.PROPERTY in one.kinds
        }

    @pytest.mark.parametrize("in_payload", [None, LEFT_OUT], ids=["null", "left out"])
    @pytest.mark.parametrize("case", TABLE, ids="-".join)
    def test_what_is_missing_matches_negations_alone(self, case: tuple[str, str], in_payload: Any) -> None:
        finding = found(case[0], json.loads(case[1]), in_payload)
        assert (finding.holds, finding.problem) == (case[0] == "is_not", "")

    @pytest.mark.parametrize(
        ("restriction", "sentence"),
        [
            (stored("score", "at_least", "ten"), "Property score: “ten” is not a number."),
            (stored("score", "any_of", ["8"]), None),
            (stored("my score", "is", "8"), "Custom Event cannot be restricted by “property_my score”."),
            (stored("", "is", "8"), "Custom Event cannot be restricted by “property_”."),
            (stored("score", "is", ""), "Property score: enter a text."),
            (stored("score", "between", [10, 5]), "Property score: “10” is more than “5”."),
        ],
    )
    def test_what_cannot_be_is_refused(self, restriction: dict[str, Any], sentence: str | None) -> None:
        with pytest.raises(RestrictionError) as raised:
            read_restriction(event_type("custom"), restriction)
        assert sentence in (None, str(raised.value))

    def test_other_events_have_no_properties(self) -> None:
        with pytest.raises(RestrictionError):
            read_restriction(event_type("lead_create"), stored("score", "is", "8"))

    def test_it_is_stored_and_read_again_the_same(self) -> None:
        once = read_restriction(event_type("custom"), stored("score", "at_least", "8.5"))
        assert (str(once), once.stored()) == ("Property score is at least 8.5", stored("score", "at_least", "8.5"))
        assert read_restriction(event_type("custom"), once.stored()) == once

    @pytest.mark.django_db
    def test_would_have_matched_looks_at_them(self, customer: Customer) -> None:
        for score in (7, 8, "9", "none"):
            emit(customer, properties={"score": score})
        emit(customer, "other", properties={"score": 10})
        restrictions = read_restrictions(
            event_type("custom"),
            [
                stored("score", "at_least", 8),
                {"field": "custom_topic", "operator": "any_of", "value": ["quiz_finished"]},
            ],
        )
        found = would_match(store=customer.store, kind=event_type("custom"), restrictions=restrictions)
        assert (found.matched, found.total, found.unclear) == (2, 5, 1)


@pytest.mark.django_db
class TestSendEvents:
    RESTRICTIONS: ClassVar[list[dict[str, Any]]] = [
        {"field": "custom_topic", "operator": "any_of", "value": ["quiz_finished"]},
        {"field": "property_score", "operator": "at_least", "value": "8"},
    ]

    def test_the_api_takes_a_topic_and_properties(self, api: APIClient, store: Store) -> None:
        to = make_integration(store)
        body = {"integration": str(to.pk), "event_key": "custom", "restrictions": self.RESTRICTIONS}
        answer = api.post(SEND_EVENTS, body)
        assert (answer.status_code, answer.json()["restrictions"]) == (201, self.RESTRICTIONS)
        wrong = {**body, "restrictions": [stored("score", "at_least", "many")]}
        assert refusal(api.post(SEND_EVENTS, wrong))[2] == "Property score: “many” is not a number."

    @pytest.mark.django_db(transaction=True)
    def test_what_matches_is_sent_with_its_properties(
        self, customer: Customer, integration: Integration, receiver: Receiver
    ) -> None:
        make_subscription(integration, "custom", *self.RESTRICTIONS, name="quiz")
        emit(customer, properties={"score": 7})
        emit(customer, "other", properties={"score": 9})
        emit(customer, properties={"score": 9, "level": "hard"})
        sending.deliver()
        (request,) = receiver.got
        sent = request.json()
        assert (sent["type"], sent["data"]["custom_topic"], sent["data"]["property_level"]) == (
            "quiz",
            "quiz_finished",
            "hard",
        )
        assert Delivery.objects.get().status == "sent"


@pytest.mark.django_db
class TestForm:
    @pytest.fixture
    def to(self, store: Store) -> Integration:
        return make_integration(store)

    @pytest.fixture
    def client(self, editor: User, signed_in: Callable[[User], Client]) -> Client:
        return signed_in(editor)

    def entered(self, to: Integration, **more: Any) -> dict[str, Any]:
        return {"event_key": "custom", "integration": str(to.pk), "enabled": "on", **more}

    def test_topics_told_lately_can_be_chosen(self, client: Client, customer: Customer, to: Integration) -> None:
        emit(customer, "quiz & more")
        emit(make_customer(make_store()), "of another store")
        page = client.get(ADD).content.decode()
        assert 'href="?event=custom&amp;topic=quiz%20%26%20more"' in page
        assert "of another store" not in page
        form = client.get(ADD, {"event": "custom", "topic": "quiz & more"}).context["form"]
        assert form["name"].value() == "quiz & more"
        assert [one["value"].value() for one in form.restriction_forms if one.in_use] == ["quiz & more"]

    def test_properties_are_named_and_compared(self, client: Client, to: Integration) -> None:
        body = {
            "restrict-custom_topic-value": "quiz_finished",
            "restrict-property-name": "score",
            "restrict-property-operator": "between",
            "restrict-property-value": "5",
            "restrict-property-upper": "8",
            "restrict-property-1-name": "level",
            "restrict-property-1-operator": "is",
            "restrict-property-1-value": "hard",
            "restrict-property-2-name": "",
            "restrict-property-2-operator": "is",
            "restrict-property-2-value": "",
        }
        answer = client.post(ADD, self.entered(to, **body))
        assert answer.status_code == 302, answer.context["form"].errors
        send_event = Subscription.objects.get()
        assert send_event.restrictions == [
            {"field": "custom_topic", "operator": "any_of", "value": ["quiz_finished"]},
            stored("score", "between", ["5", "8"]),
            stored("level", "is", "hard"),
        ]
        page = client.get(f"/admin/events/subscription/{send_event.pk}/change/")
        shown = [one for one in page.context["form"].restriction_forms if "name" in one.fields]
        assert [(one["name"].value(), one["value"].value()) for one in shown] == [
            ("score", "5"),
            ("level", "hard"),
            ("", None),
        ]

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("", "8", "Name the property by letters, digits and _, such as score."),
            ("my score", "8", "Name the property by letters, digits and _, such as score."),
            ("score", "", "Enter with what score is compared, or leave its name empty."),
            ("score", "many", "Property score: “many” is not a number."),
        ],
    )
    def test_what_does_not_fit_is_told_at_its_field(
        self, client: Client, to: Integration, name: str, value: str, sentence: str
    ) -> None:
        given = {"name": name, "operator": "at_least", "value": value}
        answer = client.post(ADD, self.entered(to, **{f"restrict-property-{key}": one for key, one in given.items()}))
        assert sentence in [
            error for one in answer.context["form"].restriction_forms for error in one.errors.get("value", [])
        ]
        assert not Subscription.objects.exists()

    def test_other_events_have_no_properties(self, client: Client, to: Integration) -> None:
        form = client.get(ADD, {"event": "lead_create"}).context["form"]
        assert [one for one in form.restriction_forms if "name" in one.fields] == []

    def test_the_details_tell_of_them(self, client: Client) -> None:
        page = client.get("/admin/events/subscription/catalogue/custom/").content.decode()
        assert "property_…" in page
        assert "property_score" in page
