"""Who may see which store: a user's access, the limits of rows, and whom a key speaks for."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages import get_messages
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from customers.models import ApiKey, Customer, Offer, Role, Store, StoreMembership, Wallet
from customers.refusals import Conflict
from customers.tenancy import (
    SESSION_KEY,
    Access,
    ApiClient,
    ApiKeyAuthentication,
    HasStore,
    StoreModelAdmin,
    StoreRelatedField,
    limited,
)
from tests import factories


class TestRole:
    @pytest.mark.parametrize(
        ("role", "includes"),
        [
            (Role.VIEWER, {Role.VIEWER}),
            (Role.EDITOR, {Role.VIEWER, Role.EDITOR}),
            (Role.OWNER, {Role.VIEWER, Role.EDITOR, Role.OWNER}),
        ],
    )
    def test_includes_those_before_it(self, role: Role, includes: set[Role]) -> None:
        assert {other for other in Role if role.includes(other)} == includes


class TestAccess:
    def test_a_member_enters_her_stores_with_her_roles(self, store: Store, other_store: Store, editor: User) -> None:
        assert Access(editor).roles == {store: Role.EDITOR}
        StoreMembership.objects.create(store=other_store, user=editor, role=Role.VIEWER)
        assert Access(editor).roles == {store: Role.EDITOR, other_store: Role.VIEWER}

    def test_the_first_by_name_shows_until_another_is_chosen(
        self, store: Store, other_store: Store, editor: User
    ) -> None:
        StoreMembership.objects.create(store=other_store, user=editor, role=Role.VIEWER)
        assert Access(editor).store == store
        assert Access(editor, chosen=str(other_store.pk)).store == other_store

    @pytest.mark.parametrize("chosen", ["", "nonsense", "01890000-0000-7000-8000-000000000000"])
    def test_what_is_not_hers_cannot_be_chosen(self, store: Store, editor: User, chosen: str) -> None:
        assert Access(editor, chosen=chosen).store == store

    def test_another_ones_store_cannot_be_chosen(self, store: Store, other_store: Store, editor: User) -> None:
        assert Access(editor, chosen=str(other_store.pk)).store == store

    def test_may_is_about_the_store_that_shows(self, store: Store, other_store: Store, editor: User) -> None:
        StoreMembership.objects.create(store=other_store, user=editor, role=Role.VIEWER)
        here, there = Access(editor), Access(editor, chosen=str(other_store.pk))
        assert [here.may(role) for role in Role] == [True, True, False]
        assert [there.may(role) for role in Role] == [True, False, False]

    def test_a_superuser_owns_every_store(self, store: Store, other_store: Store, superuser: User) -> None:
        assert Access(superuser).roles == {store: Role.OWNER, other_store: Role.OWNER}
        assert Access(superuser, chosen=str(other_store.pk)).may(Role.OWNER)

    @pytest.mark.parametrize("off", ["is_active", "is_staff"])
    @pytest.mark.parametrize("on", [{"is_superuser": True}, {"is_superuser": False}])
    def test_who_may_not_enter_the_admin_has_none(self, store: Store, off: str, on: dict[str, bool]) -> None:
        user = factories.make_member(store, Role.OWNER, **{off: False}, **on)
        assert Access(user).roles == {}
        assert Access(user).store is None
        assert not Access(user).may(Role.VIEWER)

    def test_nobody_has_none(self, store: Store) -> None:
        assert Access(AnonymousUser()).roles == {}

    def test_a_user_without_a_store(self, store: Store) -> None:
        access = Access(factories.make_user())
        assert access.store is None
        assert not access.may(Role.VIEWER)


class TestSwitcher:
    def switch(self, client: Client, store: Store) -> str | None:
        answer = client.post("/admin/switch-store/", {"store": str(store.pk)}, follow=True)
        assert answer.status_code == 200
        said = [str(message) for message in get_messages(answer.wsgi_request)]
        return said[0] if said else None

    def test_another_store_shows_from_now_on(
        self, store: Store, other_store: Store, editor: User, signed_in: Any
    ) -> None:
        StoreMembership.objects.create(store=other_store, user=editor, role=Role.VIEWER)
        client = signed_in(editor)
        assert self.switch(client, other_store) is None
        assert client.session[SESSION_KEY] == str(other_store.pk)
        assert client.get("/admin/").wsgi_request.access.store == other_store

    def test_another_ones_store_does_not(self, store: Store, other_store: Store, editor: User, signed_in: Any) -> None:
        client = signed_in(editor)
        assert self.switch(client, other_store) == "This store is not one of yours."
        assert client.get("/admin/").wsgi_request.access.store == store

    def test_looking_there_switches_nothing(self, store: Store, editor: User, signed_in: Any) -> None:
        assert signed_in(editor).get("/admin/switch-store/").status_code == 405

    def test_a_member_who_was_sent_away_sees_it_no_more(
        self, store: Store, other_store: Store, editor: User, signed_in: Any
    ) -> None:
        membership = StoreMembership.objects.create(store=other_store, user=editor, role=Role.VIEWER)
        client = signed_in(editor)
        self.switch(client, other_store)
        membership.delete()
        assert client.get("/admin/").wsgi_request.access.store == store


class TestLimited:
    def test_only_rows_of_the_store(self, store: Store, other_store: Store) -> None:
        mine, other = factories.make_customer(store), factories.make_customer(other_store)
        assert list(limited(Customer.objects.all(), store)) == [mine]
        assert list(limited(Wallet.objects.all(), other_store)) == [other.wallet]

    def test_the_store_itself(self, store: Store, other_store: Store) -> None:
        assert list(limited(Store.objects.all(), store)) == [store]

    def test_nothing_without_a_store(self, customer: Customer) -> None:
        assert not limited(Customer.objects.all(), None).exists()
        assert not limited(Store.objects.all(), None).exists()

    def test_nothing_of_a_model_that_hangs_on_none(self, store: Store, owner: User) -> None:
        assert not limited(User.objects.all(), store).exists()
        assert not limited(ContentType.objects.all(), store).exists()

    def test_filters_of_the_rows_stay(self, store: Store) -> None:
        factories.make_customer(store, name="Ada")
        eve = factories.make_customer(store, name="Eve")
        assert list(limited(Customer.objects.filter(name="Eve"), store)) == [eve]


def authenticated(key: str | None) -> ApiClient | None:
    headers = None if key is None else {"Authorization": key}
    request = APIRequestFactory().get("/", headers=headers)
    found = ApiKeyAuthentication().authenticate(Request(request))
    return found[0] if found else None


class TestApiKeyAuthentication:
    def test_the_key_says_which_store(self, store: Store, other_store: Store, api_key: str) -> None:
        client = authenticated(f"Api-Key {api_key}")
        assert client == ApiClient(store=store, key_name="shop")

    @pytest.mark.parametrize("header", [None, "", "Api-Key", "Bearer x", "Basic eDp5"])
    def test_without_a_key_nobody_is_there(self, store: Store, header: str | None) -> None:
        assert authenticated(header) is None

    @pytest.mark.parametrize("wrong", ["x", ".", "abcdefgh.x", "ä.ö"])
    def test_an_unknown_key(self, store: Store, wrong: str) -> None:
        with pytest.raises(AuthenticationFailed, match=r"^This API key is unknown or was revoked\.$"):
            authenticated(f"Api-Key {wrong}")

    def test_half_a_key(self, api_key: str) -> None:
        with pytest.raises(AuthenticationFailed):
            authenticated(f"Api-Key {api_key[:-1]}")

    def test_a_revoked_key(self, api_key: str) -> None:
        row = ApiKey.objects.get()
        row.revoked = True
        row.save()
        with pytest.raises(AuthenticationFailed, match=r"^This API key is unknown or was revoked\.$"):
            authenticated(f"Api-Key {api_key}")

    def test_a_key_that_has_expired(self, api_key: str) -> None:
        row = ApiKey.objects.get()
        row.expiry_date = timezone.now() - timedelta(seconds=1)
        row.save()
        with pytest.raises(AuthenticationFailed, match=r"^This API key has expired\.$"):
            authenticated(f"Api-Key {api_key}")


class TestHasStore:
    @pytest.mark.parametrize("user", [None, AnonymousUser()])
    def test_nobody_may(self, user: Any) -> None:
        request = Request(HttpRequest())
        request.user = user
        assert not HasStore().has_permission(request, None)

    def test_a_signed_in_admin_may_not_either(self, owner: User) -> None:
        request = Request(HttpRequest())
        request.user = owner
        assert not HasStore().has_permission(request, None)


class TestStoreRelatedField:
    def rows(self, context: dict[str, Any]) -> list[Any]:
        field = StoreRelatedField(queryset=Offer.objects.all())
        field._context = context  # type: ignore[attr-defined]  # what a serializer hands down
        return list(field.get_queryset())

    def test_only_rows_of_the_store(self, offer: Offer, other_store: Store) -> None:
        factories.make_offer(other_store)
        assert self.rows({"store": offer.store}) == [offer]

    def test_nothing_without_a_store(self, offer: Offer) -> None:
        assert self.rows({}) == []


class Messages(BaseStorage):
    """Keeps messages for the test."""

    def _get(self, *args: Any, **kwargs: Any) -> tuple[list[Any], bool]:
        return [], True


class TestStoreModelAdmin:
    def test_what_a_row_rule_refuses_at_the_last_moment_is_a_sentence(self, offer: Offer, editor: User) -> None:
        class TooLate(StoreModelAdmin):
            fields = ("name",)

            def save_model(self, *args: Any, **kwargs: Any) -> None:
                raise Conflict("name", "Somebody else was quicker.", code="late")

        request: Any = RequestFactory().post(f"/admin/offer/{offer.pk}/", {"name": "6 off"})
        request.user, request.access = editor, Access(editor)
        request._dont_enforce_csrf_checks = True
        request._messages = Messages(request)
        answer = TooLate(Offer, admin.site).changeform_view(request, str(offer.pk))
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/offer/{offer.pk}/")
        assert [str(message) for message in request._messages._queued_messages] == ["Somebody else was quicker."]
        offer.refresh_from_db()
        assert offer.name == "5 off"
