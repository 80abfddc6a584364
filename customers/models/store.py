"""The tenant: a store, who may work in it, and the keys of its apps."""

import re
import zoneinfo
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import phonenumbers
from babel.numbers import get_currency_symbol, list_currencies
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.utils import timezone
from rest_framework_api_key.models import AbstractAPIKey, BaseAPIKeyManager
from uuid_utils.compat import uuid7

from customers.days import day_of, midnight, months_later

M = TypeVar("M", bound=models.Model)

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)

web_address = URLValidator(schemes=["http", "https"])


def known_currency(code: str) -> None:
    """ISO 4217, as Babel's data (CLDR) lists it."""
    if code not in list_currencies():
        raise ValidationError("%(code)s is not a currency code (ISO 4217), such as EUR or INR.", params={"code": code})


def known_country(code: str) -> None:
    """ISO 3166-1 alpha-2, as far as telephone numbers can be read there."""
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValidationError("%(code)s is not a country code (ISO 3166-1), such as DE or IN.", params={"code": code})


def known_time_zone(name: str) -> None:
    """IANA's time zone names."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError("%(name)s is not a time zone name, such as Europe/Berlin.", params={"name": name})


class NamedQuerySet(models.QuerySet[M]):
    """Rows that people name on a command line."""

    def named(self, text: str) -> M:
        """The one with this name or id. Raises ValidationError that tells the names there are."""
        found = self.filter(name=text).first()
        if found is None and UUID_TEXT.fullmatch(text):
            found = self.filter(pk=text).first()
        if found is None:
            kind = self.model._meta.verbose_name
            names = ", ".join(self.order_by("name").values_list("name", flat=True)[:10])
            known = f"There are: {names}." if names else "There is none yet."
            raise ValidationError(f"There is no {kind} “{text}”. {known}", code="does_not_exist")
        return found


COIN_MONTHS = [(months, f"{months} months") for months in (2, 3, 6, 10, 12, 18, 24, 30)]


class TierCriterion(models.TextChoices):
    """What moves a store's customers from tier to tier."""

    COINS_EARNED = "coins_earned", "Coins earned"
    AMOUNT_SPENT = "amount_spent", "Amount spent"
    ORDER_COUNT = "order_count", "Number of orders"


class StoreQuerySet(NamedQuerySet["Store"]):
    def tiers_changed(self) -> None:
        """All customers of these stores are judged anew by the next review of tiers."""
        self.update(tiers_changed_at=timezone.now())


class Store(models.Model):
    """A business with its own customers, coins, integrations and admins."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120, unique=True)
    coin_name = models.CharField(
        max_length=40, default="Coins", help_text="What customers call them: Coins, Stars, Beans."
    )
    currency = models.CharField(
        max_length=3, default="EUR", validators=[known_currency], help_text="ISO 4217 code, such as EUR or INR."
    )
    country = models.CharField(
        max_length=2,
        default="DE",
        validators=[known_country],
        help_text="ISO 3166-1 code, such as DE or IN. Mobile numbers typed without + are read as numbers of this country.",
    )
    website = models.URLField(blank=True, validators=[web_address])
    rewards_page = models.URLField(
        blank=True,
        validators=[web_address],
        help_text="Where customers see their coins. Left empty, it is the website.",
    )
    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[known_time_zone], help_text="Such as Europe/Berlin or Asia/Kolkata."
    )
    events_on = models.BooleanField(
        "events are on",
        default=False,
        help_text="While events are off, everything is recorded and held; nothing is sent.",
    )
    coins_expire_after = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        choices=COIN_MONTHS,
        help_text="From the day they were credited, unless they have a time of their own. The oldest coins are spent first.",
    )
    reward_available_at = models.PositiveIntegerField(
        "a reward is available at (coins)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1, "Coins must be 1 or more.")],
        help_text="A balance that rises to so many is told as “Reward Available”. Left empty, the cheapest offer decides.",
    )
    tier_criterion = models.CharField(
        "tiers count",
        max_length=12,
        blank=True,
        choices=TierCriterion,
        help_text="Orders count once they are completed or paid, until they are cancelled or refunded. "
        "Left empty, nobody's tier changes.",
    )
    tier_months = models.PositiveSmallIntegerField(
        "a tier is held for (months)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="What counted in as many months before decides. Left empty, everything counts, and a tier is for good.",
    )
    tiers_changed_at = models.DateTimeField(
        null=True, editable=False
    )  # what makes up the tiers, by which all are judged
    referrer_coins = models.PositiveIntegerField(
        "coins for bringing a friend",
        null=True,
        blank=True,
        validators=[MinValueValidator(1, "Coins must be 1 or more.")],
        help_text="A customer gets them when the friend's first order is completed or paid. Left empty, there are no referrals.",
    )
    referee_coins = models.PositiveIntegerField(
        "coins for the friend",
        null=True,
        blank=True,
        validators=[MinValueValidator(1, "Coins must be 1 or more.")],
        help_text="At the same time. Left empty, the friend gets none.",
    )
    referral_offer = models.ForeignKey(
        "customers.Offer",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="offer for the friend",
        help_text="The friend gets a coupon of it, for nothing, when the referral starts. Left empty, there is none.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StoreQuerySet.as_manager()

    if TYPE_CHECKING:
        tiers: models.Manager[Any]

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        rules = ("tier_criterion", "tier_months")
        known = None if self._state.adding else Store.objects.filter(pk=self.pk).values_list(*rules).first()
        super().save(*args, **kwargs)
        if known and known != tuple(getattr(self, name) for name in rules):
            Store.objects.filter(pk=self.pk).tiers_changed()

    def clean(self) -> None:
        if self.referral_offer is not None and self.referral_offer.store_id != self.pk:
            raise ValidationError({"referral_offer": "This offer is not one of this store's."})

    @property
    def currency_symbol(self) -> str:
        """Such as € or ₹; the code itself where there is no symbol."""
        symbol: str = get_currency_symbol(self.currency, locale="en")
        return symbol

    def coins_run_out_at(self, credited_at: datetime) -> datetime | None:
        """When coins credited then expire, as the store has set; None: they do not."""
        return self._after_months(credited_at, self.coins_expire_after)

    def tier_ends_at(self, since: datetime | None) -> datetime | None:
        """When a tier that is held since then ends, as the store has set; None: it does not."""
        return self._after_months(since, self.tier_months)

    def tier_counts_from(self, moment: datetime | None) -> datetime | None:
        """From when on it counted, at that moment, for the tiers; None: everything counts."""
        if moment is None or self.tier_months is None:
            return None
        return midnight(months_later(day_of(moment, self.time_zone), -self.tier_months), self.time_zone)

    def _after_months(self, moment: datetime | None, months: int | None) -> datetime | None:
        """So many months later, at the end of the day here."""
        if moment is None or months is None:
            return None
        last = months_later(day_of(moment, self.time_zone), months)
        return midnight(last + timedelta(days=1), self.time_zone)


class StoreModel(models.Model):
    """Every row hangs on a store: the base of everything that a tenant owns."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="+", editable=False)

    class Meta:
        abstract = True


class Role(models.TextChoices):
    """What a member may do in a store; each role includes those before it."""

    VIEWER = "viewer", "Viewer: reads"
    EDITOR = "editor", "Editor: reads and changes everything but members and API keys"
    OWNER = "owner", "Owner: everything"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what the other one may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class StoreMembership(StoreModel):
    """A user who works in a store."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.EDITOR)

    class Meta:
        verbose_name = "member"
        constraints = [
            models.UniqueConstraint(
                fields=["store", "user"],
                name="one_membership",
                violation_error_message="This user is a member already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display().split(':')[0].lower()})"

    def is_last_owner(self) -> bool:
        """Whether nobody else owns the store."""
        owners = StoreMembership.objects.filter(store=self.store_id, role=Role.OWNER)
        return owners.filter(pk=self.pk).exists() and not owners.exclude(pk=self.pk).exists()

    def clean(self) -> None:
        if self.role != Role.OWNER and not self._state.adding and self.is_last_owner():
            raise ValidationError({"role": "A store needs at least one owner: make somebody else an owner first."})


class ApiKeyManager(BaseAPIKeyManager):
    """Makes keys whose primary key says nothing of the secret (the package's own is prefix + hash)."""

    def assign_key(self, obj: AbstractAPIKey) -> str:
        key: str = super().assign_key(obj)
        obj.id = uuid7()  # type: ignore[assignment]  # ours is a UUID
        return key


class ApiKey(AbstractAPIKey):
    """A key with which an app of this store calls the API: `Authorization: Api-Key ...`. Shown once, kept as a hash."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # type: ignore[assignment]
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="+", editable=False)

    objects = ApiKeyManager()  # type: ignore[misc,assignment]  # the package types its own manager only

    class Meta(AbstractAPIKey.Meta):
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def revoke(self) -> None:
        """Apps that use it are refused from now on; it never comes back."""
        self.revoked = True
        self.save(update_fields=["revoked"])
