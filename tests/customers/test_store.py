"""Stores, their members and their keys."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from customers.models import ApiKey, Role, Store, StoreMembership
from tests import factories


class TestStore:
    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("currency", "XXA", "XXA is not a currency code (ISO 4217), such as EUR or INR."),
            ("currency", "eur", "eur is not a currency code (ISO 4217), such as EUR or INR."),
            ("country", "ZZ", "ZZ is not a country code (ISO 3166-1), such as DE or IN."),
            ("time_zone", "Berlin", "Berlin is not a time zone name, such as Europe/Berlin."),
            ("website", "ftp://beans.example", "Enter a valid URL."),
            ("rewards_page", "javascript:alert(1)", "Enter a valid URL."),
        ],
    )
    def test_says_what_is_wrong(self, db: None, field: str, value: str, sentence: str) -> None:
        with pytest.raises(ValidationError) as refusal:
            Store(**{"name": "Bean House", field: value}).full_clean()
        assert refusal.value.message_dict[field][-1] == sentence
        assert list(refusal.value.message_dict) == [field]

    def test_a_plain_one_is_good_and_its_events_are_off(self, db: None) -> None:
        store = Store(name="Bean House")
        store.full_clean()
        store.save()
        assert (store.coin_name, store.currency, store.country, store.time_zone) == ("Coins", "EUR", "DE", "UTC")
        assert not Store.objects.get().events_on

    @pytest.mark.parametrize(("currency", "symbol"), [("EUR", "€"), ("INR", "₹"), ("CHF", "CHF")])
    def test_currency_symbol(self, currency: str, symbol: str) -> None:
        assert Store(currency=currency).currency_symbol == symbol

    @pytest.mark.django_db(transaction=True)
    def test_goes_with_all_that_hangs_on_it(self) -> None:
        store = factories.make_store()
        offer = factories.make_offer(store)
        offer.redeem(factories.make_customer(store, coins=100))
        factories.make_member(store, Role.OWNER)
        factories.make_api_key(store)
        store.delete()
        assert not ApiKey.objects.exists()
        assert not StoreMembership.objects.exists()


class TestNamed:
    def test_by_name_or_id(self, store: Store, other_store: Store) -> None:
        assert Store.objects.named("Bean House") == Store.objects.named(str(store.pk)) == store

    def test_tells_the_names_there_are(self, store: Store, other_store: Store) -> None:
        with pytest.raises(ValidationError) as refusal:
            Store.objects.named("Coffee House")
        assert refusal.value.messages == ["There is no store “Coffee House”. There are: Bean House, Tea House."]

    def test_says_when_there_is_none(self, db: None) -> None:
        with pytest.raises(ValidationError) as refusal:
            Store.objects.named("01890000-0000-7000-8000-000000000000")
        assert refusal.value.messages == [
            "There is no store “01890000-0000-7000-8000-000000000000”. There is none yet."
        ]


class TestStoreMembership:
    def test_a_user_is_a_member_once(self, store: Store, owner: Any) -> None:
        again = StoreMembership(store=store, user=owner, role=Role.VIEWER)
        with pytest.raises(ValidationError) as refusal:
            again.full_clean()
        assert refusal.value.messages == ["This user is a member already."]
        with pytest.raises(IntegrityError), transaction.atomic():
            again.save()

    def test_the_last_owner_stays_one(self, store: Store, owner: Any, editor: Any) -> None:
        membership = StoreMembership.objects.get(user=owner)
        membership.role = Role.EDITOR
        with pytest.raises(ValidationError) as refusal:
            membership.full_clean()
        assert refusal.value.message_dict == {
            "role": ["A store needs at least one owner: make somebody else an owner first."]
        }
        factories.make_member(store, Role.OWNER)
        membership.full_clean()

    def test_says_who_and_as_what(self, store: Store, viewer: Any) -> None:
        assert str(StoreMembership.objects.get(user=viewer)) == f"{viewer.username} (viewer)"


class TestApiKey:
    def test_only_a_hash_is_kept(self, store: Store, api_key: str) -> None:
        row = ApiKey.objects.get()
        secret = api_key.partition(".")[2]
        assert len(secret) >= 32
        assert secret not in "".join(str(value) for value in ApiKey.objects.values().get().values())
        assert str(row.pk) not in api_key
        assert row.prefix not in str(row.pk)

    def test_the_key_is_known_again(self, store: Store, api_key: str) -> None:
        assert ApiKey.objects.get_from_key(api_key).pk == ApiKey.objects.get(store=store).pk

    def test_another_one_is_not(self, store: Store, api_key: str) -> None:
        for wrong in ("", "x", f"{api_key}x", api_key.partition(".")[0]):
            with pytest.raises(ApiKey.DoesNotExist):
                ApiKey.objects.get_from_key(wrong)
