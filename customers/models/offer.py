"""What coins buy: offers, and the coupons that customers get for them."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from customers.facts import FactModel, FactQuerySet, together
from customers.models.coins import Operation, Source, WalletTransactionType, fingerprint, in_words, only
from customers.models.customer import Customer
from customers.models.store import StoreModel, web_address
from customers.models.wallet import Wallet, WalletTransaction
from customers.refusals import Conflict, Refused

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that people mistake for another


def coupon_code() -> str:
    """A code that nobody guesses: 12 of 32 letters."""
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(12))


class ValueType(models.TextChoices):
    AMOUNT = "amount", "Amount"
    PERCENT = "percent", "Percent"
    FREE_SHIPPING = "free_shipping", "Free shipping"


class CouponType(models.TextChoices):
    PUBLIC = "public", "Public"
    PRIVATE = "private", "Private"


class CouponSource(models.TextChoices):
    NECTOR = "nector", "This system"  # the word that flows built on Nector's events already know
    EXTERNAL = "external", "External"


class CouponStatus(models.TextChoices):
    ISSUED = "issued", "Issued"
    REDEEMED = "redeemed", "Redeemed"
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Cancelled"


class Discount(StoreModel):
    """What an offer promises and a coupon gives."""

    value = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default=0,
        validators=[MinValueValidator(0)],
        help_text="An amount in the store's currency, or percent.",
    )
    value_type = models.CharField(max_length=14, choices=ValueType, default=ValueType.AMOUNT)
    minimum_order = models.DecimalField(max_digits=12, decimal_places=2, default=0, validators=[MinValueValidator(0)])
    redirect_link = models.URLField(blank=True, validators=[web_address])

    class Meta:
        abstract = True

    def clean(self) -> None:
        if self.value_type == ValueType.PERCENT and self.value is not None and self.value > 100:
            raise Refused("value", "A discount in percent is 100 at most.", code="too_much")


class Offer(Discount):
    """Something that customers get for coins."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    price = models.PositiveIntegerField(validators=[MinValueValidator(1)], help_text="In coins.")
    coupon_days = models.PositiveSmallIntegerField(
        "coupon valid for (days)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Left empty, its coupons do not expire.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("price", "name")
        constraints = [models.CheckConstraint(condition=Q(price__gte=1), name="offer_price_above_zero")]

    def __str__(self) -> str:
        return self.name

    def redeem(
        self, customer: Customer, *, reference: str | None = None, source: str = Source.API
    ) -> tuple["Coupon", bool]:
        """Debit the customer's wallet and give the coupon, in one transaction.

        Returns the coupon and whether it is new (False: this reference was already redeemed). Raises Refused when the
        offer is off, the customer of another store, or the coins do not suffice; Conflict when the reference was used
        otherwise.
        """
        if customer.store_id != self.store_id:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")
        request = fingerprint(redeem=self.pk, customer=customer.pk)
        with together():
            wallet = Wallet.lock(customer=customer.pk)
            probe = WalletTransaction(store_id=self.store_id, reference=(reference or "").strip(), fingerprint=request)
            if known := probe.counted_before():  # also when the offer was switched off since
                return Coupon.of(known), False
            if not self.enabled:
                raise Refused("offer", "This offer is switched off.", code="offer_off")
            if wallet.balance < self.price:
                raise Refused(
                    "customer",
                    f"{self.name} costs {in_words(self.price)}. {only(wallet.balance)}",
                    code="not_enough_coins",
                )
            entry, _ = wallet.record(
                type=WalletTransactionType.REDEEM,
                operation=Operation.DEBIT,
                amount=self.price,
                source=source,
                reference=reference,
                title=self.name,
                request_fingerprint=request,
            )
            coupon = Coupon.by_offer(self, entry.wallet.customer, transaction=entry, coin_amount=self.price)
            coupon.save()
        return coupon, True


class CouponQuerySet(FactQuerySet["Coupon"]):
    def expire_due(self, *, most: int = 200) -> int:
        """Issued coupons whose time is over become expired, at most so many, announced at once; returns how many.

        One that somebody is using at this moment is left to them.
        """
        with together():
            due = self.filter(status=CouponStatus.ISSUED, expires_at__lte=timezone.now())
            rows = due.select_for_update(of=("self",), no_key=True, skip_locked=True).order_by("expires_at")
            coupons = list(rows.select_related("offer", "customer__wallet", "customer__store")[:most])
            self.change_all(coupons, status=CouponStatus.EXPIRED)
        return len(coupons)


class Coupon(Discount, FactModel):
    """A code that a customer got, usually for coins."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset({"store_id", "transaction_id", "coin_amount", "created_at"})

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="coupons")
    offer = models.ForeignKey(Offer, on_delete=models.SET_NULL, null=True, blank=True, related_name="coupons")
    transaction = models.OneToOneField(
        WalletTransaction, on_delete=models.RESTRICT, null=True, editable=False, related_name="coupon"
    )
    code = models.CharField(max_length=60, default=coupon_code)
    type = models.CharField(max_length=10, choices=CouponType, default=CouponType.PRIVATE)
    source = models.CharField(max_length=10, choices=CouponSource, default=CouponSource.NECTOR)
    status = models.CharField(max_length=10, choices=CouponStatus, default=CouponStatus.ISSUED, editable=False)
    coin_amount = models.PositiveIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CouponQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["store", "code"], name="coupon_code", violation_error_message="Another coupon has this code."
            )
        ]
        indexes = [
            models.Index(fields=["store", "-id"], name="coupon_newest"),
            models.Index(
                fields=["expires_at"], condition=Q(status="issued", expires_at__isnull=False), name="coupon_to_expire"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        super().clean()
        if self.customer_id is not None and self.customer.store_id != self.store_id:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")
        if self.offer is not None and self.offer.store_id != self.store_id:
            raise Refused("offer", "This offer is not one of this store's.", code="does_not_exist")
        if Coupon.objects.filter(store=self.store, code=self.code).exclude(pk=self.pk).exists():
            raise Refused("code", f"Another coupon of this store has the code {self.code}.", code="taken")

    @classmethod
    def of(cls, entry: WalletTransaction) -> "Coupon":
        """The coupon that this entry paid for. Raises Conflict when it was deleted since."""
        coupon = cls.objects.filter(transaction=entry).first()
        if coupon is None:
            raise Conflict("reference", f"The coupon of the reference {entry.reference} was deleted.", code="gone")
        return coupon

    @classmethod
    def by_offer(cls, offer: Offer, customer: Customer, **more: Any) -> "Coupon":
        """An unsaved one that gives what the offer promises now, for as long as its coupons are valid."""
        return cls(
            store=customer.store,
            customer=customer,
            offer=offer,
            value=offer.value,
            value_type=offer.value_type,
            minimum_order=offer.minimum_order,
            redirect_link=offer.redirect_link,
            expires_at=timezone.now() + timedelta(days=offer.coupon_days) if offer.coupon_days else None,
            **more,
        )

    def check_change(self, previous: Mapping[str, Any]) -> None:
        """A coupon that left issued never comes back: not even by a save that knew it before."""
        super().check_change(previous)
        if (was := previous.get("status", CouponStatus.ISSUED)) != CouponStatus.ISSUED:
            raise Conflict("status", f"This coupon is already {was}.", code="not_issued")

    def redeem(self) -> None:
        """The customer used it in an order. Raises Conflict when it is no longer issued."""
        self._leave_issued(CouponStatus.REDEEMED)

    def expire(self) -> None:
        """Its time is over. Raises Conflict when it is no longer issued."""
        self._leave_issued(CouponStatus.EXPIRED)

    def cancel(self) -> None:
        """The store takes it back. Raises Conflict when it is no longer issued."""
        self._leave_issued(CouponStatus.CANCELLED)

    def _leave_issued(self, status: CouponStatus) -> None:
        with transaction.atomic():
            rows = Coupon.objects.select_for_update(no_key=True)
            now = rows.filter(pk=self.pk).values_list("status", flat=True).first() or "deleted"
            if now != CouponStatus.ISSUED:
                raise Conflict("status", f"This coupon is already {now}.", code="not_issued")
            self.status = status
            self.save(update_fields=["status"])
