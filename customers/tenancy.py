"""Who may see which store: the one place that limits the admin's screens and the API's answers to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.text import capfirst
from rest_framework import authentication, exceptions, permissions, serializers
from rest_framework.request import Request
from rest_framework_api_key.permissions import KeyParser

from customers.models import ApiKey, Role, Store, StoreMembership

SESSION_KEY = "store"

# --- The admin: a user, her stores, and the one she is in -------------------------------------------------------------


class Access:
    """The stores of a user, her role in each, and the one that her screens show now."""

    def __init__(self, user: AbstractUser | AnonymousUser, *, chosen: str | None = None) -> None:
        self.user = user
        self._chosen = chosen

    @cached_property
    def roles(self) -> dict[Store, Role]:
        """Each store she may enter with her role there; superusers are owners everywhere."""
        if not self.user.is_active or not self.user.is_staff:
            return {}
        if self.user.is_superuser:
            return dict.fromkeys(Store.objects.all(), Role.OWNER)
        memberships = (
            StoreMembership.objects.filter(user_id=self.user.pk).select_related("store").order_by("store__name")
        )
        return {membership.store: Role(membership.role) for membership in memberships}

    @cached_property
    def store(self) -> Store | None:
        """The store that the screens show: the chosen one, else the first."""
        return next((store for store in self.roles if str(store.pk) == self._chosen), next(iter(self.roles), None))

    def may(self, role: Role) -> bool:
        """Whether she has at least this role in the store that the screens show."""
        return self.store is not None and self.roles[self.store].includes(role)


def access_of(request: HttpRequest) -> Access:
    """The access of the user who asks."""
    access: Access = request.access  # type: ignore[attr-defined]  # set by the middleware
    return access


class CurrentStoreMiddleware:
    """Hangs the user's `Access` on the request, and lets the admin's screens read and write times of the store's zone.

    Nothing is read before somebody asks, which every screen of the admin does.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.access = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: Access(request.user, chosen=request.session.get(SESSION_KEY))
        )
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        match = request.resolver_match
        if (
            match
            and match.app_name == "admin"
            and request.user.is_authenticated
            and (store := access_of(request).store)
        ):
            timezone.activate(store.time_zone)


def limited(rows: models.QuerySet[Any], store: Store | None) -> models.QuerySet[Any]:
    """Only the rows of this store; none of a model that does not hang on one."""
    if store is None:
        return rows.none()
    if rows.model is Store:
        return rows.filter(pk=store.pk)
    if any(field.name == "store" for field in rows.model._meta.fields):
        return rows.filter(store=store)
    return rows.none()


class StoreRowsMixin:
    """For ModelAdmin and inlines: rows, foreign-key choices, autocomplete, actions and history of the current store.

    `view_role`, `add_role`, `change_role` and `delete_role` say who may; None: nobody, not even a superuser.
    """

    view_role: ClassVar[Role | None] = Role.VIEWER
    add_role: ClassVar[Role | None] = Role.EDITOR
    change_role: ClassVar[Role | None] = Role.EDITOR
    delete_role: ClassVar[Role | None] = Role.EDITOR

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return limited(super().get_queryset(request), access_of(request).store)  # type: ignore[misc]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = kwargs.get("queryset", db_field.remote_field.model._default_manager.all())
        kwargs["queryset"] = limited(rows, access_of(request).store)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = kwargs.get("queryset", db_field.remote_field.model._default_manager.all())
        kwargs["queryset"] = limited(rows, access_of(request).store)
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.view_role, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.add_role, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.change_role, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.delete_role, obj)

    def _may(self, request: HttpRequest, role: Role | None, obj: Any) -> bool:
        access = access_of(request)
        if role is None or not access.may(role):
            return False
        if obj is None or obj._state.adding:
            return True
        # Inlines are asked with the parent as `obj`, so that a row is judged by the store it leads to.
        assert access.store is not None
        return bool((obj.pk if isinstance(obj, Store) else obj.store_id) == access.store.pk)


class StoreModelAdmin(StoreRowsMixin, admin.ModelAdmin[Any]):
    """The base of every ModelAdmin: rows of the current store, made in the current store."""

    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}
    show_facets = admin.ShowFacets.NEVER  # to count every filter's rows scans a table for each

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def store_for_adding(self, request: HttpRequest) -> Store:
        """The store in which this user may add a row. Raises PermissionDenied."""
        store = access_of(request).store
        if store is None or not self.has_add_permission(request):
            raise PermissionDenied
        return store

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """An action on rows whose ids are none says so."""
        context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        try:
            return super().changelist_view(request, context)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.path)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """What a row rule refuses at the last moment (somebody else was quicker) is a sentence here too."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect(request.get_full_path())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """A row's page is headed by what it is about."""
        if row := context.get("original"):
            context |= {"title": str(row), "subtitle": None}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        store = access_of(request).store

        class FormOfStore(form):  # type: ignore[misc, valid-type]
            """The row has its store before it is validated: uniqueness and other row rules look at it."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                if self.instance._state.adding and hasattr(self.instance, "store_id"):
                    self.instance.store = store

        return FormOfStore

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        row = super().save_form(request, form, change)
        if not change and hasattr(row, "store_id"):
            row.store = access_of(request).store
        return row

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for row in formset.save(commit=False):
            if hasattr(row, "store_id"):
                row.store = access_of(request).store
            row.save()
        for gone in formset.deleted_objects:
            gone.delete()
        formset.save_m2m()


class StoreTabularInline(StoreRowsMixin, admin.TabularInline[Any, Any]):
    """Rows inside another row's page, limited in the same way."""

    extra = 0


# --- The API: a key, and its store ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ApiClient:
    """Who calls the API: an app that holds a key of this store."""

    store: Store
    key_name: str
    is_authenticated: ClassVar[bool] = True


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Api-Key ...`: the key says which store the request is about."""

    def authenticate(self, request: Request) -> tuple[ApiClient, None] | None:
        secret = KeyParser().get(request)
        if not secret:
            return None
        try:
            if not secret.isprintable():  # PostgreSQL does not take every character
                raise ApiKey.DoesNotExist
            key: Any = ApiKey.objects.get_from_key(secret)
        except ApiKey.DoesNotExist:
            raise exceptions.AuthenticationFailed("This API key is unknown or was revoked.") from None
        assert isinstance(key, ApiKey)
        if key.has_expired:
            raise exceptions.AuthenticationFailed("This API key has expired.")
        return ApiClient(store=key.store, key_name=key.name), None

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


class HasStore(permissions.BasePermission):
    """Only with a store's key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, ApiClient)


class StoreRowsViewMixin:
    """For viewsets: only rows of the key's store, and what is made is made in it."""

    request: Any  # DRF's Request

    @property
    def store(self) -> Store:
        client = self.request.user
        assert isinstance(client, ApiClient)
        return client.store

    def get_queryset(self) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = super().get_queryset()  # type: ignore[misc]
        if getattr(self, "swagger_fake_view", False):  # drf-spectacular looks at the model, without a request
            return rows.none()
        return limited(rows, self.store)

    def get_serializer_context(self) -> dict[str, Any]:
        context: dict[str, Any] = super().get_serializer_context()  # type: ignore[misc]
        if not getattr(self, "swagger_fake_view", False):
            context["store"] = self.store
        return context


class StoreRelatedField(serializers.PrimaryKeyRelatedField[Any]):
    """A reference by id to another row of the same store; a row of another one "does not exist"."""

    default_error_messages = {"does_not_exist": "Nothing of this store has the id {pk_value}."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pk_field=serializers.UUIDField(), **kwargs)

    def get_queryset(self) -> models.QuerySet[Any]:
        rows = super().get_queryset()
        assert rows is not None
        store = self.context.get("store")
        return limited(rows, store) if store else rows.none()
