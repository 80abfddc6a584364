"""VIP tiers: what a store's customers reach by what they do, for how long, and when they fall back.

A customer goes up when what counted lately (in the months for which a tier is held) reaches a threshold. A tier that was
reached is held for its months, and then judged anew by what counted lately. Meanwhile it is lost only when something that
it was reached with is taken back: an order refunded, a reward reverted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.db.models.expressions import Combinable
from django.utils import timezone

from customers.facts import FactModel, FactQuerySet
from customers.models.store import Store, StoreModel
from customers.refusals import Refused

if TYPE_CHECKING:
    from customers.models.customer import Customer


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a criterion counts: rows of customers, each with its time and its value."""

    rows: Callable[[], models.QuerySet[Any]]
    customer: str  # the path from a row to its customer
    at: str
    value: Combinable

    def of(self, customers: Sequence["Customer"], *, lately: datetime | None) -> Mapping[Any, tuple[Decimal, Decimal]]:
        """By customer: what counted since `lately` (None: ever), and since the customer's own tier counts."""
        own = f"{self.customer}__tier_counts_from"
        since_lately = Q(**{f"{self.at}__gte": lately}) if lately else Q()
        since_own = Q(**{f"{self.at}__gte": F(own)}) | Q(**{f"{own}__isnull": True})
        found = (
            self.rows()
            .filter(**{f"{self.customer}__in": [customer.pk for customer in customers]})
            .order_by()
            .values_list(self.customer)
            .annotate(lately=Sum(self.value, filter=since_lately), held=Sum(self.value, filter=since_own))
        )
        return {key: (Decimal(counted or 0), Decimal(held or 0)) for key, counted, held in found}


BOOKS = ("tier", "tier_since", "tier_counts_from", "tier_expires_at")  # what a customer's row says of the tier
MEASURES: dict[str, Measure] = {}  # by TierCriterion; each is declared beside the facts that it counts


class Direction(models.TextChoices):
    UP = "up", "Up"
    DOWN = "down", "Down"


class TierQuerySet(models.QuerySet["Tier"]):
    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            Store.objects.filter(pk__in=self.order_by().values("store")).tiers_changed()
            return super().delete()


class Tier(StoreModel):
    """A step of the store's ladder, reached at its threshold. The higher the threshold, the higher the tier."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="tiers", editable=False)
    name = models.CharField(max_length=80, help_text="Such as Silver or Gold.")
    threshold = models.DecimalField(
        max_digits=14,
        decimal_places=2,
        validators=[MinValueValidator(0)],
        help_text="Coins, an amount in the store's currency, or orders, as the store counts. 0 is for everybody.",
    )

    objects = TierQuerySet.as_manager()

    class Meta:
        ordering = ("threshold",)
        constraints = [
            models.UniqueConstraint(fields=["store", "name"], name="tier_name"),
            models.UniqueConstraint(fields=["store", "threshold"], name="tier_threshold"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.name = self.name.strip()
        others = Tier.objects.filter(store=self.store_id).exclude(pk=self.pk)
        if others.filter(name=self.name).exists():
            raise Refused("name", f"Another tier of this store is called {self.name}.", code="taken")
        if other := others.filter(threshold=self.threshold).first():
            raise Refused("threshold", f"{other.name} has this threshold already.", code="taken")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Customers of a renamed tier stay in it; who else deserves another one now is found by the next review."""
        with transaction.atomic():
            before = None if self._state.adding else Tier.objects.filter(pk=self.pk).first()
            # The store first: bulk calls lock it before its customers.
            if before is None or before.threshold != self.threshold:
                Store.objects.filter(pk=self.store_id).tiers_changed()
            super().save(*args, **kwargs)
            if before and before.name != self.name:
                customers = apps.get_model("customers", "Customer").objects
                customers.filter(store=self.store_id, tier=before.name).keep_books(tier=self.name)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            Store.objects.filter(pk=self.store_id).tiers_changed()
            return super().delete(*args, **kwargs)


class Ladder:
    """The tiers of a store, as they are now."""

    def __init__(self, tiers: Iterable[Tier]) -> None:
        self.tiers = sorted(tiers, key=lambda tier: tier.threshold)

    def reached(self, counted: Decimal) -> Tier | None:
        """The highest tier for which this is enough."""
        return next((tier for tier in reversed(self.tiers) if tier.threshold <= counted), None)

    def called(self, name: str | None) -> Tier | None:
        """The tier with this name; None also when it was deleted."""
        return next((tier for tier in self.tiers if tier.name == name), None)


def _read_books(customers: Sequence["Customer"]) -> None:
    """Read anew what the rows say of the tiers: PostgreSQL shows what was joined to a locked row as it was before the wait."""
    rows = type(customers[0]).objects.filter(pk__in=[customer.pk for customer in customers])
    found = {key: values for key, *values in rows.order_by().values_list("pk", *BOOKS)}
    for customer in customers:
        for name, value in zip(BOOKS, found.get(customer.pk, []), strict=False):
            setattr(customer, name, value)


def _threshold(tier: Tier | None) -> Decimal:
    return tier.threshold if tier else Decimal(-1)


class TierChangeQuerySet(FactQuerySet["TierChange"]):
    def judge(self, customers: Sequence["Customer"], *, silent: bool = False) -> list["TierChange"]:
        """Move these customers, whose wallets are locked, to the tiers that they deserve now; returns what changed.

        Customers of stores without tiers stay where they are. One query, two for each store, and two when anybody moves.
        """
        by_store: dict[Any, list[Customer]] = {}
        for customer in customers:
            if customer.store.tier_criterion:
                by_store.setdefault(customer.store_id, []).append(customer)
        if not by_store:
            return []
        _read_books([customer for group in by_store.values() for customer in group])
        changes = []
        books = []
        for group in by_store.values():
            for verdict in _verdicts(group[0].store, group):
                changes += verdict.change()
                books += verdict.write()
        if books:
            type(books[0]).objects.keep_books_of(books, BOOKS)
        return self.bulk_create(changes, silent=silent) if changes else []


class TierChange(StoreModel, FactModel):
    """A customer went up or down; `name` None: to no tier at all."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset(
        {"store_id", "customer_id", "name", "previous_name", "direction", "expires_at", "created_at"}
    )

    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="tier_changes")
    name = models.CharField(max_length=80, null=True, editable=False)
    previous_name = models.CharField(max_length=80, null=True, editable=False)
    direction = models.CharField(max_length=4, choices=Direction, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TierChangeQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["store", "-id"], name="tier_change_newest")]

    def __str__(self) -> str:
        return f"{self.previous_name or 'no tier'} → {self.name or 'no tier'}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one customer deserves now: the tier, and whether it was reached anew (else it is held on)."""

    store: Store
    customer: "Customer"
    tier: Tier | None
    before: Tier | None  # None also when the tier that the customer has was deleted
    anew: bool
    now: datetime

    @property
    def name(self) -> str | None:
        return self.tier.name if self.tier else None

    @property
    def moved(self) -> bool:
        return self.name != self.customer.tier

    def since(self) -> datetime | None:
        """Since when the tier is held."""
        if self.tier is None:
            return None
        return self.now if self.anew or self.customer.tier_since is None else self.customer.tier_since

    def change(self) -> list[TierChange]:
        """The change as a fact, or none."""
        if not self.moved:
            return []
        higher = self.customer.tier is None or (self.before and _threshold(self.tier) > _threshold(self.before))
        return [
            TierChange(
                store=self.store,
                customer=self.customer,
                name=self.name,
                previous_name=self.customer.tier,
                direction=Direction.UP if higher else Direction.DOWN,
                expires_at=self.store.tier_ends_at(self.since()),
            )
        ]

    def write(self) -> list["Customer"]:
        """Set what the customer's row says of the tier; the customer, if that is something else than before."""
        customer, since = self.customer, self.since()
        counts_from = self.store.tier_counts_from(since) if since == self.now else customer.tier_counts_from
        wanted = (self.name, since, counts_from if since else None, self.store.tier_ends_at(since))
        if wanted == (customer.tier, customer.tier_since, customer.tier_counts_from, customer.tier_expires_at):
            return []
        customer.tier, customer.tier_since, customer.tier_counts_from, customer.tier_expires_at = wanted
        return [customer]


def _verdicts(store: Store, customers: Sequence["Customer"]) -> list[Verdict]:
    now = timezone.now()
    ladder = Ladder(Tier.objects.filter(store=store))
    nothing = (Decimal(0), Decimal(0))
    counted = MEASURES[store.tier_criterion].of(customers, lately=store.tier_counts_from(now))
    verdicts = []
    for customer in customers:
        lately, held = (ladder.reached(value) for value in counted.get(customer.pk, nothing))
        before = ladder.called(customer.tier)
        ends_at = store.tier_ends_at(customer.tier_since)
        over = ends_at is not None and ends_at <= now
        tier = lately
        if customer.tier is not None and not over:
            if before and _threshold(held) > _threshold(before):
                held = before  # what counted longer ago holds a tier, and lifts nobody higher
            tier = max(lately, held, key=_threshold)
        anew = over or (tier is lately and (tier is None or tier.name != customer.tier))
        verdicts.append(Verdict(store=store, customer=customer, tier=tier, before=before, anew=anew, now=now))
    return verdicts
