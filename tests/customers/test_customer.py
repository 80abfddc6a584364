"""Customers: identifiers in one spelling, each once in a store, and sentences when they cannot be."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from customers.models import Customer, Offer, Store
from customers.models.customer import Channel
from customers.models.identifiers import e164
from tests import factories
from tests.concurrency import at_once


def refused(customer: Customer) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refusal:
        customer.full_clean()
    return refusal.value.message_dict


class TestE164:
    @pytest.mark.parametrize(
        ("typed", "country", "stored"),
        [
            ("+49 1511 2345678", "IN", "+4915112345678"),
            ("01511 2345678", "DE", "+4915112345678"),
            ("0049 (1511) 234-5678", "DE", "+4915112345678"),
            ("98765 43210", "IN", "+919876543210"),
            ("011 91 98765 43210", "US", "+919876543210"),
            ("(202) 555-0143", "US", "+12025550143"),
        ],
    )
    def test_reads_a_number_as_one_of_the_country(self, typed: str, country: str, stored: str) -> None:
        assert e164(typed, country=country) == stored

    @pytest.mark.parametrize(
        "typed", ["", "call me", "12", "+49", "+999 123456789", "1" * 300, "+49 1511 2345678 000000"]
    )
    def test_says_what_is_no_number(self, typed: str) -> None:
        with pytest.raises(ValidationError) as refusal:
            e164(typed, country="DE")
        assert refusal.value.messages == [
            f"{typed} is not a mobile number. Write it with its country code, such as +49 1511 2345678."
        ]

    def test_a_number_without_its_area_is_none(self) -> None:
        with pytest.raises(ValidationError):
            e164("555-0143", country="US")


class TestIdentifiers:
    def test_have_one_spelling(self, store: Store) -> None:
        customer = factories.make_customer(
            store, external_id=" 17 ", email="Ada@Example.COM", mobile="01511 2345678", referral_code=" ADA10 "
        )
        customer.refresh_from_db()
        assert (customer.external_id, customer.email, customer.mobile, customer.referral_code) == (
            "17",
            "ada@example.com",
            "+4915112345678",
            "ADA10",
        )

    def test_mobile_is_read_as_one_of_the_stores_country(self, store: Store, other_store: Store) -> None:
        assert factories.make_customer(other_store, mobile="98765 43210").mobile == "+919876543210"
        assert refused(Customer(store=store, mobile="12")) == {
            "mobile": ["12 is not a mobile number. Write it with its country code, such as +49 1511 2345678."]
        }

    def test_what_is_empty_is_unknown_and_not_taken(self, store: Store) -> None:
        for email in ("a@example.com", "b@example.com"):
            customer = factories.make_customer(store, email=email, external_id="", mobile=" ", referral_code="")
            customer.refresh_from_db()
            assert (customer.external_id, customer.mobile, customer.referral_code) == (None, None, None)

    def test_at_least_one_is_needed(self, store: Store) -> None:
        assert refused(Customer(store=store, name="Nobody", email="")) == {
            "__all__": ["A customer needs at least one of customer id, e-mail and mobile number."]
        }

    @pytest.mark.parametrize(
        ("field", "typed", "sentence"),
        [
            ("email", "ADA@example.com", "Another customer of this store has the e-mail ada@example.com."),
            ("mobile", "01511 2345678", "Another customer of this store has the mobile number +4915112345678."),
            ("external_id", " 17", "Another customer of this store has the customer id 17."),
            ("referral_code", "ADA10", "Another customer of this store has the referral code ADA10."),
        ],
    )
    def test_each_is_once_in_a_store_and_free_in_others(
        self, store: Store, other_store: Store, field: str, typed: str, sentence: str
    ) -> None:
        taken: dict[str, Any] = {
            "email": "ada@example.com",
            "mobile": "+4915112345678",
            "external_id": "17",
            "referral_code": "ADA10",
        }
        factories.make_customer(store, **taken)
        twin = Customer(store=store, **{"external_id": "18", field: typed})
        assert refused(twin) == {field: [sentence]}
        with pytest.raises(ValidationError) as refusal:  # also by save alone, as when two are quick
            twin.save()
        assert refusal.value.message_dict == {field: [sentence]}
        with pytest.raises(IntegrityError), transaction.atomic():  # and by the database alone
            Customer.objects.bulk_create([Customer(store=store, **{field: typed})])
        assert factories.make_customer(other_store, **taken).store == other_store
        assert Customer.objects.count() == 2

    def test_every_one_that_is_taken_is_said(self, store: Store) -> None:
        factories.make_customer(store, email="ada@example.com", external_id="17")
        assert refused(Customer(store=store, email="ada@example.com", external_id="17")) == {
            "external_id": ["Another customer of this store has the customer id 17."],
            "email": ["Another customer of this store has the e-mail ada@example.com."],
        }

    def test_with_everything_else_that_is_wrong(self, store: Store) -> None:
        factories.make_customer(store, email="ada@example.com", referral_code="ADA10")
        assert refused(Customer(store=store, email="ada@example.com", mobile="1", country="XX")) == {
            "mobile": ["1 is not a mobile number. Write it with its country code, such as +49 1511 2345678."],
            "country": ["XX is not a country code (ISO 3166-1), such as DE or IN."],
            "email": ["Another customer of this store has the e-mail ada@example.com."],
        }
        assert refused(Customer(store=store, referral_code="ADA10")) == {
            "__all__": ["A customer needs at least one of customer id, e-mail and mobile number."],
            "referral_code": ["Another customer of this store has the referral code ADA10."],
        }

    def test_a_customer_keeps_her_own(self, customer: Customer) -> None:
        customer.full_clean()
        customer.save()

    @pytest.mark.django_db(transaction=True)
    def test_two_customers_at_once_with_one_email(self, store: Store) -> None:
        outcomes = at_once(*[lambda: Customer.objects.create(store=store, email="ada@example.com").pk] * 8)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, ValidationError)]
        assert len(refusals) == 7, outcomes
        assert refusals[0].message_dict == {"email": ["Another customer of this store has the e-mail ada@example.com."]}
        assert Customer.objects.get().wallet.balance == 0


class TestFind:
    @pytest.mark.parametrize(
        "by", [{"email": " ADA@Example.com"}, {"mobile": "01511 2345678"}, {"external_id": " 17 "}]
    )
    def test_by_any_identifier_however_typed(self, store: Store, other_store: Store, by: dict[str, str]) -> None:
        same: dict[str, Any] = {"email": "ada@example.com", "mobile": "+4915112345678", "external_id": "17"}
        customer = factories.make_customer(store, **same)
        factories.make_customer(other_store, **same)
        assert Customer.objects.find(store=store, **by) == customer

    def test_nobody(self, store: Store, customer: Customer, other_store: Store) -> None:
        assert Customer.objects.find(store=store, email="eve@example.com") is None
        assert Customer.objects.find(store=other_store, email="ada@example.com") is None

    def test_a_number_that_cannot_be_read(self, store: Store) -> None:
        with pytest.raises(ValidationError):
            Customer.objects.find(store=store, mobile="call me")


class TestCustomer:
    def test_has_a_wallet(self, customer: Customer) -> None:
        assert Customer.objects.get(pk=customer.pk).wallet.balance == 0

    @pytest.mark.parametrize("channel", list(Channel))
    def test_consents_to_nothing_unasked(self, customer: Customer, channel: Channel) -> None:
        assert not customer.consents_to(channel)
        setattr(customer, f"consent_{channel.value}", True)
        assert customer.consents_to(channel)
        assert customer.consents_to(channel.value)

    def test_is_called_by_what_is_known(self) -> None:
        assert str(Customer(name="Ada", email="ada@example.com")) == "Ada"
        assert str(Customer(email="ada@example.com", mobile="+49")) == "ada@example.com"
        assert str(Customer(external_id="17")) == "17"

    @pytest.mark.django_db(transaction=True)
    def test_goes_with_wallet_ledger_and_coupons(self, customer: Customer, offer: Offer) -> None:
        factories.give_coins(customer, 100)
        offer.redeem(customer)
        customer.delete()
        assert not offer.coupons.exists()


@pytest.mark.django_db
class TestCalled:
    @pytest.mark.parametrize(
        "text", ["ada@example.com", " ADA@Example.COM", "C-17", "+4915112345678", "0151 12345678", "{id}"]
    )
    def test_by_any_identifier(self, store: Store, other_store: Store, text: str) -> None:
        facts: dict[str, Any] = {"email": "ada@example.com", "external_id": "C-17", "mobile": "+4915112345678"}
        ada = factories.make_customer(store, **facts)
        factories.make_customer(other_store, **facts)
        factories.make_customer(store, external_id="C-1")
        assert Customer.objects.ids_called(text.format(id=ada.pk), store=store) == [ada.pk]

    @pytest.mark.parametrize("text", ["", "ada", "c-17", "nobody@example.com"])
    def test_only_exactly(self, store: Store, text: str) -> None:
        factories.make_customer(store, email="ada@example.com", external_id="C-17")
        assert Customer.objects.ids_called(text, store=store) == []

    def test_one_persons_id_may_be_anothers_mobile_number(self, store: Store) -> None:
        one = factories.make_customer(store, external_id="015112345678")
        other = factories.make_customer(store, mobile="+4915112345678")
        assert set(Customer.objects.ids_called("015112345678", store=store)) == {one.pk, other.pk}
