"""The API of customers, coins, offers and coupons."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import pre_save
from rest_framework.test import APIClient

from customers.models import Coupon, Customer, Store, WalletTransaction
from tests.api_fixtures import a_coupon, an_entry, problem, refusal
from tests.factories import make_customer, make_offer, make_store

pytestmark = pytest.mark.django_db

CUSTOMERS = "/api/v1/customers/"
TRANSACTIONS = "/api/v1/wallet-transactions/"
OFFERS = "/api/v1/offers/"
COUPONS = "/api/v1/coupons/"

ONE_CUSTOMER = "Give exactly one of customer, customer_external_id, customer_email, customer_mobile."


@pytest.fixture
def customer(store: Store) -> Customer:
    return make_customer(store, external_id="1001", email="asha@example.com", mobile="+4915112345678", name="Asha Rao")


def listed(api: APIClient, address: str, **filters: str) -> list[str]:
    response = api.get(address, filters)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


class TestCustomers:
    def test_a_customer_is_created_with_a_wallet(self, api: APIClient, store: Store) -> None:
        response = api.post(CUSTOMERS, {"email": " Asha@Example.com ", "mobile": "01511 2345678", "name": "Asha"})
        customer = Customer.objects.get(store=store)
        assert response.status_code == 201
        assert response.json() == {
            "id": str(customer.pk),
            "external_id": None,
            "email": "asha@example.com",
            "mobile": "+4915112345678",
            "name": "Asha",
            "country": "",
            "type": "customer",
            "tier": None,
            "birth_date": None,
            "referral_code": None,
            "referred_by_code": "",
            "consent_email": False,
            "consent_sms": False,
            "consent_whatsapp": False,
            "balance": 0,
            "created_at": customer.created_at.isoformat().replace("+00:00", "Z"),
        }

    def test_it_is_shown_with_its_balance(self, api: APIClient, customer: Customer) -> None:
        an_entry(customer, amount=70)
        assert api.get(f"{CUSTOMERS}{customer.pk}/").json()["balance"] == 70

    def test_only_what_is_named_is_changed(self, api: APIClient, customer: Customer) -> None:
        response = api.patch(f"{CUSTOMERS}{customer.pk}/", {"name": "Asha R.", "consent_email": True})
        assert response.status_code == 200
        customer.refresh_from_db()
        assert (customer.name, customer.consent_email, customer.email) == ("Asha R.", True, "asha@example.com")

    def test_what_somebody_else_changed_meanwhile_stays(self, api: APIClient, customer: Customer) -> None:
        def meanwhile(instance: Customer, **_: Any) -> None:
            pre_save.disconnect(meanwhile, sender=Customer)
            other = Customer.objects.get(pk=instance.pk)
            other.country = "IN"
            other.save(update_fields=["country"])

        pre_save.connect(meanwhile, sender=Customer)
        api.patch(f"{CUSTOMERS}{customer.pk}/", {"name": "Asha R."})
        customer.refresh_from_db()
        assert (customer.name, customer.country) == ("Asha R.", "IN")

    def test_an_empty_change_changes_nothing(self, api: APIClient, customer: Customer) -> None:
        assert api.patch(f"{CUSTOMERS}{customer.pk}/", {}).json()["name"] == "Asha Rao"

    def test_there_is_no_put(self, api: APIClient, customer: Customer) -> None:
        assert problem(api.put(f"{CUSTOMERS}{customer.pk}/", {"email": "a@x.de"}), 405)

    @pytest.mark.parametrize(
        ("body", "field", "code", "sentence"),
        [
            ({}, "", "no_identifier", "A customer needs at least one of customer id, e-mail and mobile number."),
            (
                {"email": "ASHA@example.com"},
                "email",
                "taken",
                "Another customer of this store has the e-mail asha@example.com.",
            ),
            (
                {"mobile": "1"},
                "mobile",
                "invalid_mobile",
                "1 is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
            (
                {"external_id": "7", "country": "XX"},
                "country",
                "invalid",
                "XX is not a country code (ISO 3166-1), such as DE or IN.",
            ),
            (
                {"external_id": "7", "birth_date": "2001-02-30"},
                "birth_date",
                "invalid",
                "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.",
            ),
            (
                {"external_id": "7\x00"},
                "external_id",
                "null_characters_not_allowed",
                "Null characters are not allowed.",
            ),
            (
                {"external_id": "x" * 121},
                "external_id",
                "max_length",
                "Ensure this field has no more than 120 characters.",
            ),
            ({"external_id": "7", "balance": 100}, "balance", "read_only", "This field cannot be set."),
            ({"external_id": "7", "consent_sms": "perhaps"}, "consent_sms", "invalid", "Must be a valid boolean."),
            ({"external_id": ["7"]}, "external_id", "invalid", "Not a valid string."),
        ],
    )
    def test_bad_input_is_told_at_its_field(
        self, api: APIClient, customer: Customer, body: Any, field: str, code: str, sentence: str
    ) -> None:
        assert refusal(api.post(CUSTOMERS, body)) == (field, code, sentence)
        assert Customer.objects.count() == 1

    def test_the_last_identifier_cannot_be_taken_away(self, api: APIClient, store: Store) -> None:
        customer = make_customer(store)
        assert refusal(api.patch(f"{CUSTOMERS}{customer.pk}/", {"email": None}))[1] == "no_identifier"

    def test_who_comes_second_in_a_race_gets_a_conflict(self, api: APIClient, store: Store) -> None:
        def meanwhile(**_: Any) -> None:
            pre_save.disconnect(meanwhile, sender=Customer)
            make_customer(store, email="asha@example.com")

        pre_save.connect(meanwhile, sender=Customer)
        assert refusal(api.post(CUSTOMERS, {"email": "asha@example.com"}), 409)[1] == "conflict"

    def test_the_same_e_mail_is_free_in_another_store(self, api: APIClient) -> None:
        make_customer(make_store(name="Other"), email="asha@example.com")
        assert api.post(CUSTOMERS, {"email": "asha@example.com"}).status_code == 201

    @pytest.mark.parametrize(
        "filters",
        [
            {"external_id": "1001"},
            {"email": "ASHA@Example.COM"},
            {"mobile": "01511 2345678"},
            {"mobile": "+49 (1511) 2345678"},
            {"mobile": " 4915112345678"},  # a + that was not escaped
            {"created_at_after": "2020-01-01T00:00:00Z"},
            {"created_at_before": "2999-01-01T00:00:00+05:30"},
        ],
    )
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str]) -> None:
        make_customer(customer.store, email="b@x.de", mobile="+4915112345679").save()
        assert str(customer.pk) in listed(api, CUSTOMERS, **filters)
        if "created_at" not in next(iter(filters)):
            assert listed(api, CUSTOMERS, **filters) == [str(customer.pk)]

    def test_a_range_of_time_excludes_its_end(self, api: APIClient, customer: Customer) -> None:
        moment = customer.created_at.isoformat()
        assert listed(api, CUSTOMERS, created_at_after=moment) == [str(customer.pk)]
        assert listed(api, CUSTOMERS, created_at_before=moment) == []

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            (
                "mobile",
                "nonsense",
                "nonsense is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
            ("email", "a\x00b", "Null characters are not allowed."),
            ("created_at_after", "yesterday", "Enter a time in ISO 8601, such as 2026-01-31T12:00:00Z."),
            (
                "created_at_after",
                "9999-12-31T23:59:59-05:00",
                "Enter a time in ISO 8601, such as 2026-01-31T12:00:00Z.",
            ),
            (
                "created_at_before",
                "0001-01-01T00:00:00+05:00",
                "Enter a time in ISO 8601, such as 2026-01-31T12:00:00Z.",
            ),
        ],
    )
    def test_a_filter_that_cannot_be_read(self, api: APIClient, name: str, value: str, sentence: str) -> None:
        field, _, message = refusal(api.get(CUSTOMERS, {name: value}))
        assert (field, message) == (name, sentence)


class TestWalletTransactions:
    BODY = {"type": "reward", "operation": "cr", "amount": 50}

    def test_coins_are_credited(self, api: APIClient, customer: Customer) -> None:
        response = api.post(
            TRANSACTIONS,
            {
                **self.BODY,
                "customer": str(customer.pk),
                "source": "order",
                "title": "Order 1042",
                "reference": "order-1042",
                "expires_at": "2030-01-31T12:00:00+01:00",
            },
        )
        entry = WalletTransaction.objects.get()
        assert response.status_code == 201
        assert response.json() == {
            "id": str(entry.pk),
            "customer": str(customer.pk),
            "type": "reward",
            "operation": "cr",
            "source": "order",
            "amount": 50,
            "status": "success",
            "balance_after": 50,
            "title": "Order 1042",
            "description": "",
            "reference": "order-1042",
            "expires_at": "2030-01-31T11:00:00Z",
            "effective_at": entry.effective_at.isoformat().replace("+00:00", "Z"),  # type: ignore[union-attr]
            "created_at": entry.created_at.isoformat().replace("+00:00", "Z"),
        }

    @pytest.mark.parametrize(
        "reference",
        [
            {"customer_external_id": "1001"},
            {"customer_email": "ASHA@example.com"},
            {"customer_mobile": "01511 2345678"},
        ],
    )
    def test_the_customer_is_named_by(self, api: APIClient, customer: Customer, reference: dict[str, str]) -> None:
        response = api.post(TRANSACTIONS, self.BODY | reference)
        assert response.json()["customer"] == str(customer.pk)

    @pytest.mark.parametrize(
        ("reference", "field", "code", "sentence"),
        [
            ({}, "customer", "one_customer", ONE_CUSTOMER),
            (
                {"customer_email": "asha@example.com", "customer_external_id": "1001"},
                "customer",
                "one_customer",
                ONE_CUSTOMER,
            ),
            (
                {"customer_email": "x@y.z"},
                "customer_email",
                "invalid",
                "Enter a valid email address.",
            ),
            (
                {"customer_email": "x@y.zz"},
                "customer_email",
                "does_not_exist",
                "No customer of this store has the e-mail x@y.zz.",
            ),
            (
                {"customer_external_id": "7"},
                "customer_external_id",
                "does_not_exist",
                "No customer of this store has the customer id 7.",
            ),
            (
                {"customer_mobile": "+4915112345670"},
                "customer_mobile",
                "does_not_exist",
                "No customer of this store has the mobile number +4915112345670.",
            ),
            (
                {"customer_mobile": "1"},
                "customer_mobile",
                "invalid_mobile",
                "1 is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            ),
            (
                {"customer": "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11"},
                "customer",
                "does_not_exist",
                "Nothing of this store has the id 01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11.",
            ),
            ({"customer": "nonsense"}, "customer", "invalid", "Must be a valid UUID."),
            ({"customer": {"id": 1}}, "customer", "invalid", "Must be a valid UUID."),
            ({"customer": 10**50}, "customer", "invalid", "Must be a valid UUID."),
            ({"customer": None}, "customer", "null", "This field may not be null."),
        ],
    )
    def test_an_unknown_customer(
        self, api: APIClient, customer: Customer, reference: Any, field: str, code: str, sentence: str
    ) -> None:
        assert refusal(api.post(TRANSACTIONS, self.BODY | reference)) == (field, code, sentence)
        assert not WalletTransaction.objects.exists()

    @pytest.mark.parametrize(
        ("wrong", "field", "code", "sentence"),
        [
            ({"amount": 0}, "amount", "min_value", "Coins must be 1 or more."),
            ({"amount": -5}, "amount", "min_value", "Coins must be 1 or more."),
            ({"amount": 10**15 + 1}, "amount", "max_value", "That is more coins than a wallet can hold."),
            ({"amount": 1.5}, "amount", "invalid", "Enter whole coins, such as 50."),
            ({"amount": "many"}, "amount", "invalid", "Enter whole coins, such as 50."),
            ({"amount": True}, "amount", "invalid", "Enter whole coins, such as 50."),
            ({"amount": None}, "amount", "null", "This field may not be null."),
            (
                {"operation": "dr"},
                "operation",
                "operation_does_not_fit",
                "A transaction of the type reward is always credited (cr).",
            ),
            (
                {"type": "adjust", "operation": "dr"},
                "amount",
                "not_enough_coins",
                "Only 0 coins are in the wallet.",
            ),
            (
                {"type": "bonus"},
                "type",
                "invalid_choice",
                "“bonus” is not one of reward, redeem, adjust, expire, revert.",
            ),
            (
                {"status": "cancelled"},
                "status",
                "invalid_choice",
                "“cancelled” is not one of success, pending.",
            ),
            ({"type": ["reward"]}, "type", "invalid_choice", None),
            ({"reference": "x" * 121}, "reference", "max_length", "Ensure this field has no more than 120 characters."),
            ({"title": "\x00"}, "title", "null_characters_not_allowed", "Null characters are not allowed."),
            ({"expires_at": "soon"}, "expires_at", "invalid", None),
            ({"expires_at": "9999-12-31T23:59:59-10:00"}, "expires_at", "overflow", "Datetime value out of range."),
            ({"amuont": 5}, "amuont", "unknown_field", None),
        ],
    )
    def test_bad_input_is_told_at_its_field(
        self, api: APIClient, customer: Customer, wrong: Any, field: str, code: str, sentence: str | None
    ) -> None:
        found = refusal(api.post(TRANSACTIONS, {**self.BODY, "customer": str(customer.pk), **wrong}))
        assert found[:2] == (field, code)
        assert sentence in (None, found[2])
        assert not WalletTransaction.objects.exists()

    @pytest.mark.parametrize("amount", [2**63, 10**18, 10**900, -(10**900), "9" * 999, "9" * 5000])
    def test_a_huge_number_is_refused(self, api: APIClient, customer: Customer, amount: Any) -> None:
        errors = problem(api.post(TRANSACTIONS, {**self.BODY, "customer": str(customer.pk), "amount": amount}), 400)
        assert [error["field"] for error in errors] == ["amount"]

    def test_several_faults_are_told_at_once(self, api: APIClient) -> None:
        errors = problem(api.post(TRANSACTIONS, {"customer_email": "x@y.zz", "type": "x", "amuont": 1}), 400)
        assert [error["field"] for error in errors] == ["customer_email", "type", "operation", "amount", "amuont"]

    def test_the_same_reference_and_body_is_counted_once(self, api: APIClient, customer: Customer) -> None:
        body = {**self.BODY, "customer": str(customer.pk), "reference": "order-1042"}
        first, second = api.post(TRANSACTIONS, body), api.post(TRANSACTIONS, body)
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert WalletTransaction.objects.count() == 1

    def test_the_same_customer_named_otherwise_is_the_same_body(self, api: APIClient, customer: Customer) -> None:
        body = {**self.BODY, "reference": "order-1042"}
        api.post(TRANSACTIONS, {**body, "customer": str(customer.pk)})
        assert api.post(TRANSACTIONS, {**body, "customer_external_id": "1001"}).status_code == 200

    @pytest.mark.parametrize(
        "other",
        [
            {"amount": 51},
            {"type": "adjust"},
            {"source": "order"},
            {"status": "pending"},
            {"title": "Other"},
            {"expires_at": "2030-01-31T12:00:00Z"},
        ],
    )
    def test_the_same_reference_with_another_body_is_a_conflict(
        self, api: APIClient, customer: Customer, other: dict[str, Any]
    ) -> None:
        body = {**self.BODY, "customer": str(customer.pk), "reference": "order-1042"}
        api.post(TRANSACTIONS, body)
        assert refusal(api.post(TRANSACTIONS, body | other), 409) == (
            "reference",
            "reference_conflict",
            "The reference order-1042 was already used for another transaction of this store.",
        )
        assert WalletTransaction.objects.count() == 1

    def test_a_reference_is_of_one_store(self, api: APIClient, customer: Customer) -> None:
        an_entry(make_customer(make_store(name="Other")), reference="order-1042")
        body = {**self.BODY, "customer": str(customer.pk), "reference": "order-1042"}
        assert api.post(TRANSACTIONS, body).status_code == 201

    def test_pending_waits_until_it_is_settled(self, api: APIClient, customer: Customer) -> None:
        body = {**self.BODY, "customer": str(customer.pk), "status": "pending"}
        pending = api.post(TRANSACTIONS, body).json()
        assert (pending["status"], pending["balance_after"], pending["effective_at"]) == ("pending", None, None)
        settled = api.post(f"{TRANSACTIONS}{pending['id']}/settle/")
        assert settled.status_code == 200
        assert (settled.json()["status"], settled.json()["balance_after"]) == ("success", 50)

    def test_pending_can_be_cancelled_once(self, api: APIClient, customer: Customer) -> None:
        address = f"{TRANSACTIONS}{an_entry(customer, status='pending').pk}/"
        assert api.post(f"{address}cancel/").json()["status"] == "cancelled"
        for action in ("cancel", "settle"):
            response = api.post(f"{address}{action}/")
            assert refusal(response, 409) == ("status", "already_settled", "This transaction is already cancelled.")

    def test_an_action_takes_no_fields(self, api: APIClient, customer: Customer) -> None:
        entry = an_entry(customer, status="pending")
        response = api.post(f"{TRANSACTIONS}{entry.pk}/settle/", {"amount": 5})
        assert refusal(response) == ("amount", "unknown_field", "There is no such field. This address takes none.")
        entry.refresh_from_db()
        assert entry.status == "pending"

    def test_entries_are_never_changed(self, api: APIClient, customer: Customer) -> None:
        address = f"{TRANSACTIONS}{an_entry(customer).pk}/"
        for method in (api.patch, api.put, api.delete):
            assert problem(method(address, {"amount": 1}), 405)

    @pytest.mark.parametrize(
        "filters",
        [
            {"customer": "{customer}"},
            {"type": "reward"},
            {"operation": "cr"},
            {"status": "success"},
            {"reference": "order-1042"},
            {"created_at_after": "2020-01-01", "type": "reward"},
        ],
    )
    def test_they_are_found_by(self, api: APIClient, customer: Customer, filters: dict[str, str]) -> None:
        found = an_entry(customer, reference="order-1042")
        other = make_customer(customer.store, email="b@x.de")
        an_entry(other, type="adjust", operation="dr", status="pending")
        filters = {name: value.format(customer=customer.pk) for name, value in filters.items()}
        assert listed(api, TRANSACTIONS, **filters) == [str(found.pk)]

    def test_an_unknown_choice_is_refused_with_the_known_ones(self, api: APIClient) -> None:
        sentence = "“done” is not one of pending, success, cancelled."
        assert refusal(api.get(TRANSACTIONS, {"status": "done"})) == ("status", "invalid_choice", sentence)

    def test_a_customer_that_is_no_id_is_refused(self, api: APIClient) -> None:
        assert refusal(api.get(TRANSACTIONS, {"customer": "7"}))[:2] == ("customer", "invalid")


class TestOffers:
    def test_an_offer_is_made_and_changed(self, api: APIClient) -> None:
        response = api.post(OFFERS, {"name": "10 off", "price": 100, "value": "10.00"})
        assert response.status_code == 201
        offer = response.json()
        assert (offer["value"], offer["value_type"], offer["enabled"], offer["coupon_days"]) == (
            "10.00",
            "amount",
            True,
            None,
        )
        changed = api.patch(f"{OFFERS}{offer['id']}/", {"enabled": False}).json()
        assert changed == {**offer, "enabled": False}
        assert listed(api, OFFERS) == [offer["id"]]

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"price": 0}, "price"),
            ({"price": 2**64}, "price"),
            ({"value": "-1"}, "value"),
            ({"value": "1e400"}, "value"),
            ({"value": "NaN"}, "value"),
            ({"value": "101", "value_type": "percent"}, "value"),
            ({"coupon_days": 10**9}, "coupon_days"),
            ({"redirect_link": "javascript:alert(1)"}, "redirect_link"),
            ({"redirect_link": "ftp://example.com/"}, "redirect_link"),
            ({"name": ""}, "name"),
        ],
    )
    def test_bad_input_is_told_at_its_field(self, api: APIClient, wrong: dict[str, Any], field: str) -> None:
        assert refusal(api.post(OFFERS, {"name": "10 off", "price": 100, **wrong}))[0] == field


class TestRedeem:
    def test_coins_become_a_coupon(self, api: APIClient, customer: Customer) -> None:
        an_entry(customer, amount=170)
        offer = make_offer(customer.store, name="10 off", value="10.00")
        response = api.post(f"{OFFERS}{offer.pk}/redeem/", {"customer_email": "asha@example.com"})
        assert response.status_code == 201
        coupon = Coupon.objects.get()
        assert response.json() == {
            "id": str(coupon.pk),
            "customer": str(customer.pk),
            "offer": str(offer.pk),
            "wallet_transaction": str(coupon.transaction_id),
            "code": coupon.code,
            "type": "private",
            "source": "nector",
            "status": "issued",
            "value": "10.00",
            "value_type": "amount",
            "minimum_order": "0.00",
            "coin_amount": 100,
            "redirect_link": "",
            "expires_at": None,
            "created_at": coupon.created_at.isoformat().replace("+00:00", "Z"),
        }
        assert api.get(f"{CUSTOMERS}{customer.pk}/").json()["balance"] == 70

    def test_the_same_reference_is_redeemed_once(self, api: APIClient, customer: Customer) -> None:
        an_entry(customer, amount=300)
        address = f"{OFFERS}{make_offer(customer.store, name='10 off', value='10.00').pk}/redeem/"
        body = {"customer": str(customer.pk), "reference": "click-1"}
        first, second = api.post(address, body), api.post(address, body)
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        other = make_customer(customer.store, email="b@x.de", coins=300)
        assert refusal(api.post(address, {**body, "customer": str(other.pk)}), 409)[1] == "reference_conflict"
        assert Coupon.objects.count() == 1

    def test_not_enough_coins(self, api: APIClient, customer: Customer) -> None:
        response = api.post(
            f"{OFFERS}{make_offer(customer.store, name='10 off', value='10.00').pk}/redeem/",
            {"customer": str(customer.pk)},
        )
        sentence = "10 off costs 100 coins. Only 0 coins are in the wallet."
        assert refusal(response) == ("customer", "not_enough_coins", sentence)

    def test_an_offer_that_is_off(self, api: APIClient, customer: Customer) -> None:
        offer = make_offer(customer.store, name="10 off", value="10.00", enabled=False)
        response = api.post(f"{OFFERS}{offer.pk}/redeem/", {"customer": str(customer.pk)})
        assert refusal(response) == ("offer", "offer_off", "This offer is switched off.")

    def test_an_unknown_customer_or_offer(self, api: APIClient, store: Store) -> None:
        address = f"{OFFERS}{make_offer(store).pk}/redeem/"
        sentence = "No customer of this store has the e-mail x@y.zz."
        assert refusal(api.post(address, {"customer_email": "x@y.zz"}))[2] == sentence
        assert problem(api.post(f"{OFFERS}{uuid4()}/redeem/", {"customer_email": "x@y.zz"}), 404)


class TestCoupons:
    def test_one_is_given(self, api: APIClient, customer: Customer) -> None:
        response = api.post(COUPONS, {"customer_external_id": "1001", "code": "WELCOME10", "value": "10"})
        assert response.status_code == 201
        coupon = response.json()
        assert (coupon["customer"], coupon["code"], coupon["value"], coupon["coin_amount"], coupon["status"]) == (
            str(customer.pk),
            "WELCOME10",
            "10.00",
            0,
            "issued",
        )
        assert api.get(f"{COUPONS}{coupon['id']}/").json() == coupon

    @pytest.mark.parametrize(
        ("wrong", "field", "code"),
        [
            ({"code": "TAKEN"}, "code", "taken"),
            ({"status": "redeemed"}, "status", "read_only"),
            ({"coin_amount": 5}, "coin_amount", "read_only"),
            ({"offer": "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11"}, "offer", "does_not_exist"),
            ({"value_type": "gold"}, "value_type", "invalid_choice"),
            ({"customer_email": "asha@example.com"}, "customer", "one_customer"),
        ],
    )
    def test_bad_input_is_told_at_its_field(
        self, api: APIClient, customer: Customer, wrong: dict[str, Any], field: str, code: str
    ) -> None:
        a_coupon(customer, code="TAKEN")
        assert refusal(api.post(COUPONS, {"customer": str(customer.pk), **wrong}))[:2] == (field, code)
        assert Coupon.objects.count() == 1

    @pytest.mark.parametrize(
        ("action", "status"), [("redeem", "redeemed"), ("expire", "expired"), ("cancel", "cancelled")]
    )
    def test_its_status_moves_once(self, api: APIClient, customer: Customer, action: str, status: str) -> None:
        address = f"{COUPONS}{a_coupon(customer).pk}/"
        assert api.post(f"{address}{action}/").json()["status"] == status
        response = api.post(f"{address}{action}/")
        assert refusal(response, 409) == ("status", "not_issued", f"This coupon is already {status}.")
        assert api.get(address).json()["status"] == status

    @pytest.mark.parametrize("name", ["customer", "status", "code", "offer"])
    def test_they_are_found_by(self, api: APIClient, customer: Customer, name: str) -> None:
        found = a_coupon(customer, code="WELCOME10", offer=make_offer(customer.store, name="10 off", value="10.00"))
        other = a_coupon(make_customer(customer.store, email="b@x.de"))
        other.redeem()
        value = {"customer": customer.pk, "status": "issued", "code": "WELCOME10", "offer": found.offer_id}[name]
        assert listed(api, COUPONS, **{name: str(value)}) == [str(found.pk)]


class TestQueries:
    """As many for twenty rows as for one: the key, its store's rows, and nothing per row."""

    @pytest.mark.parametrize("rows", [1, 20])
    @pytest.mark.parametrize("address", [CUSTOMERS, TRANSACTIONS, OFFERS, COUPONS])
    def test_a_list_takes_three(
        self, api: APIClient, store: Store, django_assert_num_queries: Any, address: str, rows: int
    ) -> None:
        for number in range(rows):
            customer = make_customer(store, email=f"{number}@x.de", coins=5)
            a_coupon(customer, offer=make_offer(store))
        with django_assert_num_queries(3):
            assert len(api.get(address).json()["results"]) == rows
