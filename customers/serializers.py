"""What the API reads and writes about customers, coins, offers and coupons; and the strictness of every serializer."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from customers.models import Coupon, Customer, Offer, WalletTransaction
from customers.models.coins import WalletTransactionStatus
from customers.models.identifiers import Name, spelled
from customers.tenancy import StoreRelatedField

M = TypeVar("M", bound=models.Model)
NEW_STATUSES = [
    (status.value, status.label) for status in (WalletTransactionStatus.SUCCESS, WalletTransactionStatus.PENDING)
]
# DRF turns the limits of a model's field into arguments of its own, and loses what the model says of them.
WHOLE_COINS = {
    "invalid": "Enter whole coins, such as 50.",
    "min_value": "Coins must be 1 or more.",
    "max_value": "That is more coins than a wallet can hold.",
}
MOST_UNKNOWN = 20  # unknown fields that are named in one answer


class KnownChoiceField(serializers.ChoiceField):
    """A choice that says which ones there are when it is given another."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        known = ", ".join(str(choice) for choice in self.choices)
        self.error_messages["invalid_choice"] = f"“{{input}}” is not one of {known}."


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know or that nobody can set: a typing error is never dropped in silence."""

    def to_internal_value(self, data: Any) -> Any:
        # A nested one may be given anything; DRF itself refuses what is no object.
        refused = self._refused(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            details: Any = error.detail
            raise ValidationError({**details, **refused}) from None
        if refused:
            raise ValidationError(refused)
        return values

    def _refused(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        writable = [name for name, field in self.fields.items() if not field.read_only]
        known = f"The fields are: {', '.join(writable)}." if writable else "This address takes none."
        return {
            name[:60]: [
                ErrorDetail("This field cannot be set.", code="read_only")
                if name in self.fields
                else ErrorDetail(f"There is no such field. {known}", code="unknown_field")
            ]
            for name in [name for name in data if name not in writable][:MOST_UNKNOWN]
        }


class StrictModelSerializer(StrictSerializer, serializers.ModelSerializer[M]):
    """Writes rows by their own rules (`full_clean`), and of a row that is there only what the request names."""

    serializer_choice_field = KnownChoiceField

    def create(self, validated_data: dict[str, Any]) -> M:
        model: Any = self.Meta.model
        row: M = model(**validated_data)
        row.full_clean()
        row.save()
        return row

    def update(self, instance: M, validated_data: dict[str, Any]) -> M:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.full_clean()
        if validated_data:
            instance.save(update_fields=[*validated_data])
        return instance


class NoBodySerializer(StrictSerializer):
    """For actions that need to be told nothing."""


class CustomerField(StoreRelatedField):
    """A customer by id; among those that were looked up together, in a bulk call."""

    def get_queryset(self) -> Any:
        return self.context.get("customers") or super().get_queryset()


class CustomerReferenceSerializer(StrictSerializer):
    """Names a customer by exactly one of four fields; `customer` holds the row that was found."""

    customer = CustomerField(queryset=Customer.objects.all(), required=False, help_text="The customer's id here.")
    customer_external_id = serializers.CharField(
        write_only=True, required=False, max_length=120, help_text="The customer's id in your shop."
    )
    customer_email = serializers.EmailField(write_only=True, required=False, max_length=254, help_text="In any case.")
    customer_mobile = serializers.CharField(
        write_only=True,
        required=False,
        max_length=32,
        help_text="Without + it is read as a number of the store's country.",
    )

    def validate_customer_external_id(self, value: str) -> Customer:
        return self._find("external_id", value)

    def validate_customer_email(self, value: str) -> Customer:
        return self._find("email", value)

    def validate_customer_mobile(self, value: str) -> Customer:
        return self._find("mobile", value)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        names = ["customer", *(f"customer_{identifier}" for identifier in Customer.IDENTIFIERS)]
        found = [attrs.pop(name) for name in names if name in attrs]
        if len(found) != 1:
            raise ValidationError({"customer": f"Give exactly one of {', '.join(names)}."}, code="one_customer")
        return {**attrs, "customer": found[0]}

    def names(self, data: Any) -> Iterator[Name]:
        """The customers that this body names, as far as it can be read: what is wrong is told when it is validated."""
        if not isinstance(data, Mapping):
            return
        for name in CUSTOMER_REFERENCE:
            field: Any = self.fields[name]
            with suppress(ValidationError, DjangoValidationError):
                if name == "customer" and name in data:
                    yield "pk", field.pk_field.run_validation(data[name])
                elif name in data:
                    kind = name.removeprefix("customer_")
                    text = field.run_validation(data[name])
                    yield kind, spelled(kind, text, store=self.context["store"])

    def _find(self, identifier: str, value: str) -> Customer:
        customers: Any = self.context.get("customers") or Customer.objects
        customer: Customer | None = customers.find(store=self.context["store"], **{identifier: value})
        if customer is None:
            label = Customer.IDENTIFIERS[identifier]
            raise ValidationError(f"No customer of this store has the {label} {value}.", code="does_not_exist")
        return customer


CUSTOMER_REFERENCE = ("customer", "customer_external_id", "customer_email", "customer_mobile")


class CustomerSerializer(StrictModelSerializer[Customer]):
    """A person in the store, with at least one of customer id, e-mail and mobile number."""

    balance = serializers.IntegerField(source="wallet.balance", read_only=True, help_text="Coins in the wallet.")

    class Meta:
        model = Customer
        fields = (
            "id",
            "external_id",
            "email",
            "mobile",
            "name",
            "country",
            "type",
            "tier",
            "birth_date",
            "referral_code",
            "referred_by_code",
            "consent_email",
            "consent_sms",
            "consent_whatsapp",
            "balance",
            "created_at",
        )


class WalletTransactionSerializer(StrictModelSerializer[WalletTransaction]):
    """One entry of the ledger. Only its status ever moves."""

    customer = serializers.UUIDField(source="wallet.customer_id", read_only=True)

    class Meta:
        model = WalletTransaction
        fields = (
            "id",
            "customer",
            "type",
            "operation",
            "source",
            "amount",
            "status",
            "balance_after",
            "title",
            "description",
            "reference",
            "expires_at",
            "effective_at",
            "created_at",
        )
        read_only_fields = fields


class NewWalletTransactionSerializer(CustomerReferenceSerializer, StrictModelSerializer[WalletTransaction]):
    """Coins to credit or debit, and the customer, named by exactly one of four fields."""

    status = KnownChoiceField(
        choices=NEW_STATUSES,
        required=False,
        help_text="Success takes effect now; pending waits until it is settled or cancelled.",
    )

    class Meta:
        model = WalletTransaction
        fields = (
            *CUSTOMER_REFERENCE,
            "type",
            "operation",
            "amount",
            "source",
            "status",
            "title",
            "description",
            "reference",
            "expires_at",
        )
        extra_kwargs = {"amount": {"error_messages": WHOLE_COINS}}


class OfferSerializer(StrictModelSerializer[Offer]):
    """What its coupons cost, and what they give."""

    class Meta:
        model = Offer
        fields = (
            "id",
            "name",
            "description",
            "price",
            "coupon_days",
            "value",
            "value_type",
            "minimum_order",
            "redirect_link",
            "enabled",
            "created_at",
        )
        extra_kwargs = {"price": {"error_messages": WHOLE_COINS}}


class RedemptionSerializer(CustomerReferenceSerializer):
    """Who redeems the offer: the customer, named by exactly one of four fields."""

    reference = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=120,
        help_text="Your own id of this redemption: each is counted once in a store.",
    )


class CouponSerializer(CustomerReferenceSerializer, StrictModelSerializer[Coupon]):
    """A code and what it gives. A new one names its customer by exactly one of four fields."""

    offer = StoreRelatedField(queryset=Offer.objects.all(), required=False, allow_null=True)
    wallet_transaction = serializers.UUIDField(
        source="transaction_id", read_only=True, allow_null=True, help_text="The entry that paid for it."
    )

    class Meta:
        model = Coupon
        fields = (
            "id",
            *CUSTOMER_REFERENCE,
            "offer",
            "wallet_transaction",
            "code",
            "type",
            "source",
            "status",
            "value",
            "value_type",
            "minimum_order",
            "coin_amount",
            "redirect_link",
            "expires_at",
            "created_at",
        )
