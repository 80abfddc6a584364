"""`create_store` and `create_api_key`: what they make, what they print, and one sentence for what cannot be."""

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from customers.models import ApiKey, Role, Store, StoreMembership
from tests import factories

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, no_color=True)
    return out.getvalue()


def read(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def refusal(*words: str) -> str:
    """The sentence of a refusal; nothing is left behind."""
    before = (Store.objects.count(), User.objects.count(), ApiKey.objects.count())
    with pytest.raises(CommandError) as error:
        run(*words)
    assert (Store.objects.count(), User.objects.count(), ApiKey.objects.count()) == before
    return str(error.value)


class TestCreateStore:
    def test_makes_a_store_with_its_defaults(self) -> None:
        said = run("create_store", "Bean House")
        store = Store.objects.get()
        assert said == f"Made the store Bean House.\nId: {store.pk}\n"
        assert (store.coin_name, store.currency, store.country, store.time_zone) == ("Coins", "EUR", "DE", "UTC")
        assert not store.events_on

    def test_takes_every_option(self) -> None:
        run(
            *("create_store", "Tea House", "--coin-name", "Leaves", "--currency", "inr", "--country", "in"),
            *("--time-zone", "Asia/Kolkata", "--website", "https://tea.example"),
            *("--rewards-page", "https://tea.example/leaves", "--events-on"),
        )
        store = Store.objects.get()
        assert (store.name, store.coin_name, store.currency, store.country) == ("Tea House", "Leaves", "INR", "IN")
        assert (store.time_zone, store.website) == ("Asia/Kolkata", "https://tea.example")
        assert store.rewards_page == "https://tea.example/leaves"
        assert store.events_on

    def test_makes_an_owner_with_a_random_password(self) -> None:
        said = run("create_store", "Bean House", "--owner", "Ada@Example.com").splitlines()
        user = User.objects.get()
        assert said[2] == "Owner: ada@example.com"
        label, _, password = said[3].partition(": ")
        assert label == "Password (shown only now)"
        assert len(password) == 16
        assert user.check_password(password)
        assert user.is_staff
        assert not user.is_superuser
        assert StoreMembership.objects.get().role == Role.OWNER

    def test_a_given_password_is_not_printed(self) -> None:
        said = run("create_store", "Bean House", "--owner", "ada@example.com", "--password", "correct horse battery")
        assert "correct horse battery" not in said
        assert "Password" not in said
        assert User.objects.get().check_password("correct horse battery")

    def test_links_a_user_who_is_there(self) -> None:
        user = factories.make_user(email="ADA@example.com", is_staff=False, username="ada")
        assert "Password" not in run("create_store", "Bean House", "--owner", "ada@Example.com")
        user.refresh_from_db()
        assert user.is_staff
        assert StoreMembership.objects.get().user == user

    def test_json_for_scripts(self) -> None:
        said = read("create_store", "Bean House", "--owner", "ada@example.com")
        assert said["id"] == str(Store.objects.get().pk)
        assert said["name"] == "Bean House"
        assert User.objects.get(username=said["owner"]["username"]).check_password(said["owner"]["password"])
        assert read("create_store", "Tea House")["owner"] is None
        assert read("create_store", "Third", "--owner", "ada@example.com")["owner"]["password"] is None

    def test_a_name_that_is_taken(self, store: Store) -> None:
        assert refusal("create_store", " Bean House ") == (
            f"There is a store “Bean House” already; its id is {store.pk}."
        )

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["--currency", "XXA"], "--currency: XXA is not a currency code (ISO 4217), such as EUR or INR."),
            (["--currency", "EURO"], "--currency: EURO is not a currency code (ISO 4217), such as EUR or INR."),
            (["--country", "Germany"], "--country: GERMANY is not a country code (ISO 3166-1), such as DE or IN."),
            (["--time-zone", "Berlin"], "--time-zone: Berlin is not a time zone name, such as Europe/Berlin."),
            (["--website", "beans"], "--website: Enter a valid URL."),
            (["--rewards-page", "ftp://beans.example"], "--rewards-page: Enter a valid URL."),
            (["--coin-name", ""], "--coin-name: This field cannot be blank."),
            (["--owner", "ada"], "--owner: “ada” is not an e-mail address."),
            (
                ["--owner", f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example"],
                "--owner: Ensure this value has at most 150 characters (it has 190).",
            ),
            (["--password", "correct horse"], "--password is that of a new owner: say who with --owner."),
            (
                ["--owner", "ada@example.com", "--password", "12345678"],
                "--password: This password is too common. This password is entirely numeric.",
            ),
        ],
    )
    def test_says_which_option_is_wrong(self, words: list[str], sentence: str) -> None:
        assert refusal("create_store", "Bean House", *words) == sentence

    def test_a_name_is_needed(self) -> None:
        assert refusal("create_store", " ") == "name: This field cannot be blank."
        assert refusal("create_store", "x" * 121) == (
            "name: Ensure this value has at most 120 characters (it has 121)."
        )

    def test_an_owner_keeps_the_password_there_is(self) -> None:
        factories.make_user(username="ada", email="ada@example.com")
        assert refusal("create_store", "Bean House", "--owner", "ada@example.com", "--password", "correct horse") == (
            "--password: ada has a login already, which stays as it is. Leave --password out."
        )

    def test_an_owner_who_is_switched_off(self) -> None:
        factories.make_user(username="ada", email="ada@example.com", is_active=False)
        assert refusal("create_store", "Bean House", "--owner", "ada@example.com") == (
            "--owner: The user ada is switched off."
        )

    def test_an_address_of_several_users(self) -> None:
        factories.make_user(email="ada@example.com")
        factories.make_user(email="ADA@example.com")
        assert refusal("create_store", "Bean House", "--owner", "ada@example.com") == (
            "--owner: Several users have the address ada@example.com: make one of them a member in the admin."
        )


class TestCreateApiKey:
    def test_prints_a_key_that_opens_the_store(self, store: Store, other_store: Store) -> None:
        said = run("create_api_key", "Bean House", "shop").splitlines()
        assert said[0] == "Made the API key “shop” of Bean House. It is shown only now:"
        assert said[2] == f"Send it as the header  Authorization: Api-Key {said[1]}"
        assert ApiKey.objects.get_from_key(said[1]).pk == ApiKey.objects.get(store=store, name="shop").pk

    def test_json_for_scripts(self, store: Store) -> None:
        said = read("create_api_key", str(store.pk), "shop")
        row = ApiKey.objects.get()
        assert said == {"id": str(row.pk), "store": str(store.pk), "name": "shop", "key": said["key"]}
        assert ApiKey.objects.is_valid(said["key"])

    def test_a_store_that_is_not_there(self, store: Store, other_store: Store) -> None:
        assert refusal("create_api_key", "Coffee House", "shop") == (
            "There is no store “Coffee House”. There are: Bean House, Tea House."
        )

    def test_no_store_yet(self) -> None:
        assert refusal("create_api_key", "Bean House", "shop") == ("There is no store “Bean House”. There is none yet.")

    def test_a_name_is_needed_and_not_too_long(self, store: Store) -> None:
        assert refusal("create_api_key", "Bean House", " ") == "This field cannot be blank."
        assert refusal("create_api_key", "Bean House", "x" * 51) == (
            "Ensure this value has at most 50 characters (it has 51)."
        )

    def test_a_name_is_used_once_until_it_is_revoked(self, store: Store, other_store: Store) -> None:
        run("create_api_key", "Bean House", "shop")
        assert refusal("create_api_key", "Bean House", "shop") == (
            "Bean House has a key “shop” already: revoke it first, or choose another name."
        )
        run("create_api_key", "Tea House", "shop")
        row = ApiKey.objects.get(store=store)
        row.revoked = True
        row.save()
        run("create_api_key", "Bean House", "shop")
