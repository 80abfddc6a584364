"""The filters of the API's lists: strict ones, which refuse what they cannot read, and those of this app."""

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField

from customers.models import Coupon, Customer, WalletTransaction
from customers.models.coins import Operation, WalletTransactionStatus, WalletTransactionType
from customers.models.customer import CustomerQuerySet
from customers.models.identifiers import e164
from customers.models.offer import CouponStatus


class MomentField(IsoDateTimeField):
    """A time that also exists in UTC (9999-12-31T23:00:00-05:00 does not)."""

    default_error_messages = {"invalid": "Enter a time in ISO 8601, such as 2026-01-31T12:00:00Z."}

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentField


class YesNoField(forms.Field):
    """True or false, and nothing that would quietly count as "no filter"."""

    def to_python(self, value: Any) -> bool | None:
        known = {"true": True, "false": False, "": None, None: None}
        try:
            return known[value]
        except KeyError:
            raise ValidationError("Enter true or false.", code="invalid") from None


class YesNoFilter(django_filters.BooleanFilter):
    field_class = YesNoField


class OneOfFilter(django_filters.ChoiceFilter):
    """One of a closed list, which its refusal names."""

    def __init__(self, *, choices: list[tuple[str, Any]], **kwargs: Any) -> None:
        known = ", ".join(value for value, _ in choices)
        messages = {"invalid_choice": f"“%(value)s” is not one of {known}."}
        super().__init__(choices=choices, error_messages=messages, **kwargs)


class CreatedFilter(django_filters.FilterSet):
    """Of rows that know when they were made."""

    created_at_after = MomentFilter("created_at", "gte", help_text="Created at this time or later.")
    created_at_before = MomentFilter("created_at", "lt", help_text="Created before this time.")


class CustomerFilter(CreatedFilter):
    external_id = django_filters.CharFilter("external_id")
    email = django_filters.CharFilter(method="by_email", help_text="In any case.")
    mobile = django_filters.CharFilter(
        method="by_mobile", strip=False, help_text="Without + it is read as a number of the store's country."
    )

    class Meta:
        model = Customer
        fields = ()

    def by_email(self, rows: CustomerQuerySet, _name: str, value: str) -> CustomerQuerySet:
        return rows.with_email(value)

    def by_mobile(self, rows: QuerySet[Customer], name: str, value: str) -> QuerySet[Customer]:
        if value.startswith(" "):  # a + that was not escaped in the address arrives as a space
            value = f"+{value.strip()}"
        try:
            return rows.filter(mobile=e164(value, country=self.request.user.store.country))
        except ValidationError as error:
            raise ValidationError({name: error}) from None


class WalletTransactionFilter(CreatedFilter):
    customer = django_filters.UUIDFilter("wallet__customer")
    type = OneOfFilter(choices=WalletTransactionType.choices)
    operation = OneOfFilter(choices=Operation.choices)
    status = OneOfFilter(choices=WalletTransactionStatus.choices)
    reference = django_filters.CharFilter("reference")

    class Meta:
        model = WalletTransaction
        fields = ()


class CouponFilter(django_filters.FilterSet):
    customer = django_filters.UUIDFilter("customer")
    status = OneOfFilter(choices=CouponStatus.choices)
    code = django_filters.CharFilter("code")
    offer = django_filters.UUIDFilter("offer")

    class Meta:
        model = Coupon
        fields = ()
