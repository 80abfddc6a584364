"""Restrictions: every operator on every kind of field, every sentence, and that what is stored stays what it is."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from hypothesis import given
from hypothesis import strategies as st

from customers.models import Customer
from customers.models.order_statuses import OrderStatus
from events.catalogue import EventType, event_type
from events.fields import Field, Kind, Unreadable
from events.restrictions import (
    OPERATORS,
    Finding,
    RestrictionError,
    judge,
    operators_for,
    read_restriction,
    read_restrictions,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LEFT_OUT = object()  # the key is not in the payload at all


class Colour(models.TextChoices):
    RED = "red", "Red"
    BLUE = "blue", "Blue"


def make_field(name: str, kind: Kind, label: str, **more: Any) -> Field:
    return Field(name=name, kind=kind, label=label, sample=None, **more)


THING = EventType(
    key="thing_create",
    label="Thing Is Created",
    group="Things",
    help="Fires when a thing is created.",
    model=Customer,
    when=lambda fact: True,
    customer=lambda instance: instance,
    build=lambda instance: {},
    own_fields=(
        make_field("colour", Kind.CHOICE, "Colours", choices=Colour),
        make_field("kind", Kind.CHOICE, "Kind"),
        make_field("count", Kind.INTEGER, "Count"),
        make_field("price", Kind.DECIMAL, "Price"),
        make_field("title", Kind.TEXT, "Title"),
        make_field("fresh", Kind.BOOLEAN, "Fresh"),
        make_field("made_at", Kind.TIME, "Made at"),
        make_field("id", Kind.TEXT, "Id", restrict=False),
    ),
)


def stored(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def found(field: str, operator: str, value: Any, in_payload: Any) -> Finding:
    payload = {} if in_payload is LEFT_OUT else {field: in_payload}
    return read_restriction(THING, stored(field, operator, value)).judge(payload, now=NOW)


# (field, operator, value of the restriction): values found for which it holds, for which it does not, and unreadable ones.
TABLE: dict[tuple[str, str, str], tuple[list[Any], list[Any], list[Any]]] = {
    ("colour", "any_of", '["red"]'): (["red"], ["blue", "green", "Red", ""], [True, ["red"], 1.5]),
    ("colour", "any_of", '["red", "blue"]'): (["red", "blue"], ["green"], [{}]),
    ("colour", "any_of", '"red"'): (["red"], ["blue"], [False]),
    ("colour", "none_of", '["red"]'): (["blue", "green", ""], ["red"], [True, ["blue"], 1.5]),
    ("kind", "any_of", '["10"]'): (["10", 10], ["9"], [True]),
    ("kind", "any_of", "[10]"): (["10", 10], ["10.0"], [10.0]),
    ("kind", "none_of", '["10"]'): (["9", 9], ["10", 10], [True]),
    ("count", "at_least", "10"): ([10, "10", 11, 10.0, "10.0"], [9, "9", -10, 0], ["ten", "", True, 10.5, [10], {}]),
    ("count", "at_most", '"10"'): ([10, "10", 9, -1], [11, "100"], ["ten", True, 9.5]),
    ("count", "between", "[5, 10]"): ([5, 7, "10"], [4, 11], ["seven", False]),
    ("count", "between", "[5, 5]"): ([5], [4, 6], ["five"]),
    ("price", "at_least", '"9.50"'): (
        ["9.50", "9.5", 10, 9.5],
        ["9.49", 9, "-9.50"],
        ["cheap", True, "NaN", "Infinity"],
    ),
    ("price", "at_most", "9.5"): (["9.50", 9, "0"], ["9.51", 10], ["1e999999999", ["9"]]),
    ("price", "between", '["1.00", "2.00"]'): (["1", "1.50", "2.00"], ["0.99", "2.01"], ["a lot"]),
    ("title", "is", '"Tea"'): (["Tea"], ["tea", "Teas", ""], [True, 1.5, ["Tea"]]),
    ("title", "is", "10"): (["10", 10], ["10.0"], [10.0]),
    ("title", "is_not", '"Tea"'): (["tea", "Coffee", ""], ["Tea"], [True, ["Tea"]]),
    ("title", "contains", '"EA"'): (["Tea", "sea", "EA"], ["Coffee", ""], [False]),
    ("title", "contains", '"STRASSE"'): (["Hauptstraße 1"], ["Hauptstr. 1"], [{}]),
    ("title", "starts_with", '"te"'): (["Tea", "te", "TEN"], ["A tea", "t", ""], [[]]),
    ("fresh", "is", "true"): ([True, "true", "TRUE", "1"], [False, "false", "0"], ["yes", 1, "", []]),
    ("fresh", "is", '"false"'): ([False, "false"], [True], ["no", 0]),
    ("made_at", "within_days", "7"): (
        ["2026-11-24T12:00:00+00:00", "2026-11-17T12:00:00+00:00", "2026-11-24T13:00:00+01:00", "2026-11-20"],
        ["2026-11-17T11:59:59+00:00", "2026-11-24T12:00:01+00:00", "2030-01-01T00:00:00+00:00"],
        ["yesterday", 7, True, "2026-13-01T00:00:00+00:00"],
    ),
    ("made_at", "within_days", '"1"'): (["2026-11-23T12:00:00Z"], ["2026-11-23T11:59:59Z"], [""]),
}
CASES = [
    pytest.param(*key[:2], json.loads(key[2]), value, holds, problem, id=f"{'-'.join(key)}-{value!r}")
    for key, rows in TABLE.items()
    for (holds, problem), values in zip([(True, False), (False, False), (False, True)], rows, strict=True)
    for value in values
]


class TestJudge:
    @pytest.mark.parametrize(("field", "operator", "value", "in_payload", "holds", "problem"), CASES)
    def test_by_the_table(
        self, field: str, operator: str, value: Any, in_payload: Any, holds: bool, problem: bool
    ) -> None:
        finding = found(field, operator, value, in_payload)
        assert (finding.holds, bool(finding.problem)) == (holds, problem)

    def test_the_table_is_complete(self) -> None:
        kinds = set(Kind) - {Kind.CHANGE, Kind.PROPERTY}  # which have tables of their own
        combinations = {(operator.key, kind) for operator in OPERATORS.values() for kind in operator.kinds & kinds}
        assert {(operator, THING.fields[field].kind) for field, operator, _ in TABLE} == combinations

    @pytest.mark.parametrize("in_payload", [None, LEFT_OUT], ids=["null", "left out"])
    @pytest.mark.parametrize("case", TABLE, ids="-".join)
    def test_what_is_missing_matches_negations_alone(self, case: tuple[str, str, str], in_payload: Any) -> None:
        field, operator, value = case
        finding = found(field, operator, json.loads(value), in_payload)
        assert (finding.found, finding.holds, finding.problem) == (None, operator in {"none_of", "is_not"}, "")

    @pytest.mark.parametrize(
        ("field", "operator", "value", "in_payload", "problem"),
        [
            ("colour", "any_of", "red", True, "Colours: the value found, “True”, is not a text."),
            ("count", "at_least", 10, "ten", "Count: the value found, “ten”, is not a whole number."),
            ("price", "at_least", 10, "cheap", "Price: the value found, “cheap”, is not a number."),
            ("title", "is", "Tea", ["Tea"], "Title: the value found, “['Tea']”, is not a text."),
            ("fresh", "is", True, "perhaps", "Fresh: the value found, “perhaps”, is not yes or no."),
            ("made_at", "within_days", 1, "soon", "Made at: the value found, “soon”, is not a time."),
        ],
    )
    def test_what_cannot_be_read_is_told(
        self, field: str, operator: str, value: Any, in_payload: Any, problem: str
    ) -> None:
        finding = found(field, operator, value, in_payload)
        assert (finding.found, finding.holds, finding.problem) == (in_payload, False, problem)

    def test_a_finding_tells_the_value_in_jsons_own_types(self) -> None:
        assert found("price", "at_least", 1, 9.5).found == "9.5"
        assert found("made_at", "within_days", 1, "2026-11-24").found == "2026-11-24T00:00:00+00:00"
        assert found("count", "at_least", 1, "10").found == 10

    def test_all_are_judged_by_the_time_of_the_event(self) -> None:
        restrictions = read_restrictions(
            THING, [stored("made_at", "within_days", 7), stored("count", "at_least", 5), stored("title", "is", "Tea")]
        )
        payload = {"event_occurred_at": "2020-01-08T00:00:00Z", "made_at": "2020-01-02T00:00:00Z", "count": 4}
        assert [finding.holds for finding in judge(restrictions, payload)] == [True, False, False]
        assert [finding.restriction for finding in judge(restrictions, payload)] == restrictions

    def test_without_the_time_of_the_event_it_is_now(self) -> None:
        restrictions = read_restrictions(THING, [stored("made_at", "within_days", 1)])
        (finding,) = judge(restrictions, {"made_at": datetime.now(UTC).isoformat()})
        assert finding.holds

    @pytest.mark.parametrize(
        ("payload", "has_email", "has_mobile"),
        [
            ({"user_email": "ada@example.com", "user_mobile": None}, True, False),
            ({"user_email": None, "user_mobile": "+4915112345678"}, False, True),
            ({}, False, False),
        ],
    )
    def test_having_an_email_or_a_mobile_is_worked_out(
        self, payload: dict[str, Any], has_email: bool, has_mobile: bool
    ) -> None:
        for name, has in (("user_has_email", has_email), ("user_has_mobile", has_mobile)):
            for wanted in (True, False):
                finding = read_restriction(THING, stored(name, "is", wanted)).judge(payload, now=NOW)
                assert (finding.found, finding.holds) == (has, has is wanted)


ORDER = event_type("order_update")


def changed(value: Any, field: str = "changed_order_status") -> dict[str, Any]:
    return stored(field, "changed", value)


def update(name: str, before: Any, after: Any) -> dict[str, Any]:
    return {"changed_fields": [name], f"previous_{name}": before, name: after}


CHANGE_SHAPE = "Order Statuses: a change has the lists “from” and “to”; an empty one stands for any value."
STATUS_CHANGE = update("order_status", "pending", "completed")
AMOUNT_CHANGE = update("order_amount", "9.50", "12.00")
NAME_CHANGE = update("order_name", None, "#1042")


class TestChanged:
    """What a field was before an update, and what it is since."""

    @pytest.mark.parametrize(
        ("field", "payload", "value", "holds"),
        [
            ("order_status", STATUS_CHANGE, {"from": [], "to": []}, True),
            ("order_status", STATUS_CHANGE, {}, True),
            ("order_status", STATUS_CHANGE, {"from": ["pending"]}, True),
            ("order_status", STATUS_CHANGE, {"to": ["completed"]}, True),
            ("order_status", STATUS_CHANGE, {"from": ["pending", "cancelled"], "to": ["completed"]}, True),
            ("order_status", STATUS_CHANGE, {"from": ["completed"], "to": ["pending"]}, False),
            ("order_status", STATUS_CHANGE, {"from": ["pending"], "to": ["cancelled"]}, False),
            ("order_status", STATUS_CHANGE, {"from": ["cancelled"], "to": ["completed"]}, False),
            ("order_status", {"changed_fields": [], "order_status": "completed"}, {"to": ["completed"]}, False),
            ("order_status", AMOUNT_CHANGE | {"order_status": "completed"}, {}, False),
            ("order_amount", AMOUNT_CHANGE, {"from": ["9.5"], "to": [12]}, True),
            ("order_amount", AMOUNT_CHANGE, {"to": ["12.01"]}, False),
            ("order_name", NAME_CHANGE, {"to": ["#1042"]}, True),
            ("order_name", NAME_CHANGE, {"from": ["#1041"]}, False),
            ("order_name", NAME_CHANGE, {}, True),
        ],
    )
    def test_by_the_table(self, field: str, payload: dict[str, Any], value: Any, holds: bool) -> None:
        finding = read_restriction(ORDER, changed(value, f"changed_{field}")).judge(payload, now=NOW)
        assert (finding.holds, finding.problem) == (holds, "")

    @pytest.mark.parametrize(
        "payload",
        [
            {},
            {"changed_fields": None},
            {"changed_fields": "order_status"},
            update("order_status", ["pending"], "completed"),
            update("order_status", "pending", True),
        ],
    )
    def test_what_cannot_be_read_never_passes_and_is_told(self, payload: dict[str, Any]) -> None:
        finding = read_restriction(ORDER, changed({})).judge(payload, now=NOW)
        assert (finding.holds, finding.problem) == (False, "Order Statuses: what changed cannot be read.")

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({}, "Order Statuses changed"),
            ({"to": ["completed"]}, "Order Statuses changed to Completed"),
            (
                {"from": "pending", "to": ["completed", "cancelled"]},
                "Order Statuses changed from Pending to Completed, Cancelled",
            ),
        ],
    )
    def test_it_reads_as_a_person_says_it(self, value: Any, words: str) -> None:
        restriction = read_restriction(ORDER, changed(value))
        assert str(restriction) == words
        assert read_restriction(ORDER, json.loads(json.dumps(restriction.stored()))) == restriction

    def test_the_value_found_is_told(self) -> None:
        restriction = read_restriction(ORDER, changed({}))
        finding = restriction.judge(STATUS_CHANGE, now=NOW)
        assert (finding.found, finding.found_label) == ({"from": "pending", "to": "completed"}, "Pending → Completed")
        assert restriction.judge(AMOUNT_CHANGE, now=NOW).found_label == "unchanged"

    @pytest.mark.parametrize(
        ("entered", "sentence"),
        [
            (
                changed({"to": ["done"]}),
                f"Order Statuses: “done” is not one of {', '.join(OrderStatus.values)}.",
            ),
            (changed({"into": []}), CHANGE_SHAPE),
            (changed("completed"), CHANGE_SHAPE),
            (changed(None), CHANGE_SHAPE),
            (changed({"from": ["much"]}, "changed_order_amount"), "Order amount: “much” is not a number."),
        ],
    )
    def test_what_does_not_fit_is_refused_in_a_sentence(self, entered: Any, sentence: str) -> None:
        with pytest.raises(RestrictionError) as raised:
            read_restriction(ORDER, entered)
        assert str(raised.value) == sentence

    def test_only_an_update_has_changes(self) -> None:
        with pytest.raises(RestrictionError, match="Order Is Created cannot be restricted by “changed_order_status”"):
            read_restriction(event_type("order_create"), changed({}))


class TestOperatorsFor:
    @pytest.mark.parametrize(
        ("field", "keys"),
        [
            ("colour", ["any_of", "none_of"]),
            ("count", ["at_least", "at_most", "between"]),
            ("price", ["at_least", "at_most", "between"]),
            ("title", ["is", "is_not", "contains", "starts_with"]),
            ("fresh", ["is"]),
            ("made_at", ["within_days"]),
        ],
    )
    def test_they_are_those_of_its_kind(self, field: str, keys: list[str]) -> None:
        assert [operator.key for operator in operators_for(THING.fields[field])] == keys


SENTENCES = [
    (stored("wings", "is", "2"), "Thing Is Created cannot be restricted by “wings”."),
    (stored("id", "is", "1"), "Thing Is Created cannot be restricted by “id”."),
    (stored("event_id", "is", "1"), "Thing Is Created cannot be restricted by “event_id”."),
    (stored("colour", "at_least", 1), "Colours cannot be compared by “at_least”; it can by: any_of, none_of."),
    (stored("count", "like", 1), "Count cannot be compared by “like”; it can by: at_least, at_most, between."),
    (stored("colour", "any_of", []), "Colours: choose at least one value."),
    (stored("colour", "any_of", ["red", "green"]), "Colours: “green” is not one of red, blue."),
    (stored("colour", "none_of", [None]), "Colours: “None” is not a text."),
    (stored("kind", "any_of", [""]), "Kind: enter a text."),
    (stored("count", "at_least", "many"), "Count: “many” is not a whole number."),
    (stored("count", "at_least", 1.5), "Count: “1.5” is not a whole number."),
    (stored("count", "at_least", None), "Count: “None” is not a whole number."),
    (stored("count", "at_most", True), "Count: “True” is not a whole number."),
    (stored("count", "between", 5), "Count: between takes two values, the lower and the upper one."),
    (stored("count", "between", [5]), "Count: between takes two values, the lower and the upper one."),
    (stored("count", "between", [1, 2, 3]), "Count: between takes two values, the lower and the upper one."),
    (stored("count", "between", ["10", "9"]), "Count: “10” is more than “9”."),
    (stored("count", "between", ["1", "x"]), "Count: “x” is not a whole number."),
    (stored("price", "at_least", "NaN"), "Price: “NaN” is not a number."),
    (stored("price", "at_least", "1" * 70), f"Price: “{'1' * 60}…” is not a number."),
    (stored("title", "contains", "  "), "Title: enter a text."),
    (stored("title", "contains", "T\0"), "Title: enter a text."),
    (stored("title", "contains", "\ud83d"), "Title: enter a text."),
    (stored("title", "is", ["Tea"]), "Title: “['Tea']” is not a text."),
    (stored("fresh", "is", "perhaps"), "Fresh: “perhaps” is not yes or no."),
    (stored("made_at", "within_days", 0), "Made at: enter a number of days from 1 to 3650."),
    (stored("made_at", "within_days", 3651), "Made at: enter a number of days from 1 to 3650."),
    (stored("made_at", "within_days", "soon"), "Made at: enter a number of days from 1 to 3650."),
    (stored("made_at", "within_days", [7]), "Made at: enter a number of days from 1 to 3650."),
    ("colour is red", "A restriction has a field, an operator and a value."),
    ({"field": "colour", "operator": "any_of"}, "A restriction has a field, an operator and a value."),
    ({**stored("colour", "any_of", ["red"]), "not": True}, "A restriction has a field, an operator and a value."),
]


class TestReadRestriction:
    @pytest.mark.parametrize(("entered", "sentence"), SENTENCES)
    def test_what_does_not_fit_is_refused_in_a_sentence(self, entered: Any, sentence: str) -> None:
        with pytest.raises(RestrictionError) as raised:
            read_restriction(THING, entered)
        assert str(raised.value) == sentence

    def test_restrictions_are_a_list(self) -> None:
        with pytest.raises(RestrictionError, match=r"^Restrictions are a list\.$"):
            read_restrictions(THING, {"field": "colour"})

    def test_the_first_that_does_not_fit_is_told(self) -> None:
        entered = [stored("colour", "any_of", ["red"]), stored("count", "at_least", "x"), stored("wings", "is", 1)]
        with pytest.raises(RestrictionError, match=r"^Count: “x” is not a whole number\.$"):
            read_restrictions(THING, entered)

    def test_a_restriction_of_another_event_does_not_fit(self) -> None:
        with pytest.raises(RestrictionError) as raised:
            read_restriction(event_type("coupon_create"), stored("wallettransaction_type", "any_of", ["reward"]))
        assert str(raised.value) == "Coupon Is Created cannot be restricted by “wallettransaction_type”."

    @pytest.mark.parametrize(
        ("entered", "value"),
        [
            (stored("count", "at_least", "10"), 10),
            (stored("count", "between", ["1", 2.0]), [1, 2]),
            (stored("price", "at_least", 9.5), "9.5"),
            (stored("price", "at_most", "9.50"), "9.50"),
            (stored("kind", "any_of", [10, "10", "ten"]), ["10", "ten"]),
            (stored("title", "is", 10), "10"),
            (stored("fresh", "is", "true"), True),
            (stored("made_at", "within_days", "7"), 7),
            (stored("colour", "any_of", "red"), ["red"]),
        ],
    )
    def test_a_value_is_of_its_fields_type(self, entered: dict[str, Any], value: Any) -> None:
        found = read_restriction(THING, entered).stored()["value"]
        assert (found, type(found)) == (value, type(value))


class TestWords:
    @pytest.mark.parametrize(
        ("entered", "words"),
        [
            (stored("colour", "any_of", ["red", "blue"]), "Colours is one of Red, Blue"),
            (stored("colour", "none_of", ["blue"]), "Colours is none of Blue"),
            (stored("kind", "any_of", ["a", "b"]), "Kind is one of a, b"),
            (stored("count", "at_least", 10), "Count is at least 10"),
            (stored("count", "at_most", 10), "Count is at most 10"),
            (stored("count", "between", [1, 2]), "Count is between 1 and 2"),
            (stored("price", "at_least", "9.50"), "Price is at least 9.50"),
            (stored("title", "is", "Tea"), "Title is Tea"),
            (stored("title", "is_not", "Tea"), "Title is not Tea"),
            (stored("title", "contains", "ea"), "Title contains ea"),
            (stored("title", "starts_with", "T"), "Title starts with T"),
            (stored("fresh", "is", True), "Fresh: yes"),
            (stored("fresh", "is", False), "Fresh: no"),
            (stored("made_at", "within_days", 7), "Made at is within the last 7 days"),
            (stored("made_at", "within_days", 1), "Made at is within the last day"),
            (stored("user_has_mobile", "is", True), "Has mobile: yes"),
        ],
    )
    def test_each_reads_as_a_person_says_it(self, entered: dict[str, Any], words: str) -> None:
        assert str(read_restriction(THING, entered)) == words


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda text: bool(text.strip())
)
integers = st.integers(min_value=-(10**15), max_value=10**15)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2)
VALUES: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("colour", "any_of"): st.lists(st.sampled_from(Colour.values), min_size=1),
    ("colour", "none_of"): st.lists(st.sampled_from(Colour.values), min_size=1),
    ("kind", "any_of"): st.lists(texts | integers, min_size=1),
    ("count", "at_least"): integers | integers.map(str) | integers.map(float),
    ("count", "between"): st.lists(integers, min_size=2, max_size=2).map(sorted),
    ("price", "at_most"): decimals | decimals.map(str) | decimals.map(float) | integers,
    ("price", "between"): st.lists(decimals, min_size=2, max_size=2).map(
        lambda pair: [str(one) for one in sorted(pair)]
    ),
    ("title", "is"): texts | integers,
    ("title", "contains"): texts,
    ("fresh", "is"): st.booleans() | st.sampled_from(["true", "False", "1", "0"]),
    ("made_at", "within_days"): st.integers(1, 3650) | st.integers(1, 3650).map(str),
}
entered_ones = st.sampled_from(sorted(VALUES)).flatmap(lambda key: VALUES[key].map(lambda value: stored(*key, value)))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


class TestStored:
    @given(entered=entered_ones)
    def test_it_is_read_back_as_it_was(self, entered: dict[str, Any]) -> None:
        once = read_restriction(THING, entered)
        through_json = json.loads(json.dumps(once.stored()))
        again = read_restriction(THING, through_json)
        assert again == once
        assert again.stored() == once.stored() == through_json
        assert str(again) == str(once)

    @given(entered=entered_ones, value=anything)
    def test_judging_never_raises(self, entered: dict[str, Any], value: Any) -> None:
        restriction = read_restriction(THING, entered)
        finding = restriction.judge({restriction.field.name: value}, now=NOW)
        assert not (finding.holds and finding.problem)

    @given(
        field=st.sampled_from(sorted(THING.restrictable)) | st.text(),
        operator=st.sampled_from(sorted(OPERATORS)) | st.text(),
        value=anything,
    )
    def test_entering_anything_is_taken_or_refused_in_a_sentence(self, field: str, operator: str, value: Any) -> None:
        sentence = ""
        try:
            json.dumps(read_restriction(THING, stored(field, operator, value)).stored(), allow_nan=False)
        except RestrictionError as error:
            sentence = str(error)
        assert not sentence or sentence.endswith(".")


class TestRead:
    """How a field reads what is in a payload."""

    @pytest.mark.parametrize(
        ("kind", "value", "read"),
        [
            (Kind.INTEGER, "10", 10),
            (Kind.INTEGER, Decimal("10.0"), 10),
            (Kind.DECIMAL, 10, Decimal(10)),
            (Kind.TEXT, 10, "10"),
            (Kind.BOOLEAN, "TRUE", True),
            (Kind.TIME, "2026-11-24T10:30:00+01:00", datetime.fromisoformat("2026-11-24T10:30:00+01:00")),
            (Kind.TIME, "2026-11-24T10:30:00", datetime(2026, 11, 24, 10, 30, tzinfo=UTC)),
            (Kind.DATE, "1990-05-17", datetime(1990, 5, 17, tzinfo=UTC).date()),
            (Kind.LIST, [1], [1]),
        ],
    )
    def test_it_is_of_the_kinds_type(self, kind: Kind, value: Any, read: Any) -> None:
        found = make_field("x", kind, "X").read({"x": value})
        assert (found, type(found)) == (read, type(read))

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            (Kind.INTEGER, Decimal("10.5")),
            (Kind.INTEGER, "1e999999999"),
            (Kind.DECIMAL, "sNaN"),
            (Kind.TEXT, b"tea"),
            (Kind.BOOLEAN, 1),
            (Kind.TIME, 5),
            (Kind.DATE, "1990-02-30"),
            (Kind.DATE, 19900517),
        ],
    )
    def test_what_is_not_raises(self, kind: Kind, value: Any) -> None:
        with pytest.raises(Unreadable):
            make_field("x", kind, "X").read({"x": value})
