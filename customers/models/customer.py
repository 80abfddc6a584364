"""A person in one store, and how tools may find and reach them."""

import contextlib
import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from customers.facts import FactModel, FactQuerySet, together
from customers.models.identifiers import Name, e164, spelled
from customers.models.many import Outcome, write_many
from customers.models.store import UUID_TEXT, Store, StoreModel, known_country
from customers.models.tiers import BOOKS as TIER_BOOKS
from customers.models.tiers import TierChange
from customers.models.wallet import Wallet


class Channel(models.TextChoices):
    """By which a tool may reach a person who agreed to it."""

    EMAIL = "email", "E-mail"
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"


# A change of the tiers may be committed a little after its time: who was judged meanwhile was judged by the old ones.
SETTLED_AFTER = timedelta(minutes=1)


class CustomerQuerySet(FactQuerySet["Customer"]):
    def find(self, *, store: Store, external_id: str = "", email: str = "", mobile: str = "") -> "Customer | None":
        """The customer of this store with that identifier (exactly one of them is given), or None.

        Raises ValidationError when the mobile number cannot be read.
        """
        given = {"external_id": external_id, "email": email, "mobile": mobile}
        kind, text = next((kind, text) for kind, text in given.items() if text)
        name = (kind, spelled(kind, text, store=store))
        return self.named({name}, store=store).get(name)

    def named(self, names: Collection[Name], *, store: Store) -> "dict[Name, Customer]":
        """Those of this store who have one of these names, by it; one query."""
        values: dict[str, list[Any]] = {}
        for column, value in names:
            values.setdefault(column, []).append(value)
        if not values:
            return {}
        columns = {column: "lowered" if column == "email" else column for column in values}  # as the index is
        wanted = Q()
        for column, those in values.items():
            wanted |= Q(**{f"{columns[column]}__in": those})
        rows = self.annotate(lowered=Lower("email")).filter(wanted, store=store)
        found = {(column, getattr(row, by)): row for row in rows for column, by in columns.items()}
        return {name: found[name] for name in names if name in found}

    def create_many(self, store: Store, rows: Sequence[Mapping[str, Any]]) -> list[Outcome["Customer"]]:
        """Create customers of this store with these columns; what became of each, in their order.

        Each is judged by itself, and by those before it. For each hundred the same number of queries.
        """
        return write_many(store, rows, partial(self._create, store))

    def _create(self, store: Store, rows: Sequence[Mapping[str, Any]]) -> list[Outcome["Customer"]]:
        customers = [self.model(store=store, **columns) for columns in rows]
        taken = Taken(customers)
        outcomes: list[Outcome[Customer]] = []
        for customer in customers:
            try:
                customer.check_new(taken)
            except ValidationError as refusal:
                outcomes.append(Outcome(refusal=refusal))
            else:
                taken.add(customer)
                outcomes.append(Outcome(customer, new=True))
        self.bulk_create([outcome.row for outcome in outcomes if outcome.row])
        return outcomes

    def with_email(self, email: str) -> "CustomerQuerySet":
        """Those with this e-mail address, in any case. Stored ones are lowered; the index is on what the database lowers."""
        return self.alias(lowered=Lower("email")).filter(lowered=email.strip().lower())

    def ids_called(self, text: str, *, store: Store) -> list[UUID]:
        """The ids of those of this store who have exactly this customer id, e-mail, mobile number or id of ours.

        One, or hardly ever more. A list, so that what is looked for by it goes straight to its own index.
        """
        text = text.strip()
        wanted = models.Q(external_id=text) | models.Q(lowered=text.lower())
        with contextlib.suppress(ValidationError):  # most texts are no number
            wanted |= models.Q(mobile=e164(text, country=store.country))
        if UUID_TEXT.fullmatch(text):
            wanted |= models.Q(pk=text)
        rows = self.alias(lowered=Lower("email")).filter(wanted, store=store)  # the index is on the lowered one
        return list(rows.values_list("pk", flat=True))

    def review_tiers(self, *, most: int = 200) -> int:
        """Judge customers anew whose tier ends, whose store changed its tiers, or who never were; at most so many.

        Returns how many were judged. A customer to whose wallet somebody is writing is left for the next review.
        """
        for due in self._tiers_due():
            if keys := list(due.order_by().values_list("pk", flat=True)[:most]):
                with together():
                    wallets = Wallet.objects.filter(customer__in=keys).locked(skip_locked=True)
                    customers = [wallet.customer for wallet in wallets]
                    TierChange.objects.judge(customers)
                    judged = self.filter(pk__in=[customer.pk for customer in customers])
                    judged.keep_books(tier_judged_at=timezone.now())
                if customers:
                    return len(customers)
        return 0

    def _tiers_due(self) -> "Iterator[CustomerQuerySet]":
        """Query sets of those who are to be judged, each with an index of its own."""
        now = timezone.now()
        stores = Store.objects.exclude(tier_criterion="").order_by()
        yield self.filter(store__in=stores, tier_expires_at__lte=now)
        changed = stores.filter(tiers_changed_at__lte=now - SETTLED_AFTER)
        yield self.filter(store__in=changed, tier_judged_at=None)
        yield self.filter(store__in=changed, tier_judged_at__lt=F("store__tiers_changed_at"))


class Customer(StoreModel, FactModel):
    """A person in one store (Nector: lead), identified by external id, e-mail and mobile, each unique in its store."""

    BOOKS: ClassVar[frozenset[str]] = frozenset({*TIER_BOOKS, "tier_judged_at"})  # a TierChange is the fact
    IDENTIFIERS: ClassVar[dict[str, str]] = {"external_id": "customer id", "email": "e-mail", "mobile": "mobile number"}
    UNIQUE: ClassVar[dict[str, str]] = {**IDENTIFIERS, "referral_code": "referral code"}  # each in its store

    external_id = models.CharField(
        "customer id", max_length=120, null=True, blank=True, help_text="The customer's id in your shop."
    )
    email = models.EmailField("e-mail", null=True, blank=True)
    mobile = models.CharField(
        max_length=32,  # room to type; stored as E.164, 16 at most
        null=True,
        blank=True,
        help_text="With its country code, such as +49 1511 2345678; without + it is read as a number of the store's country.",
    )
    name = models.CharField(max_length=200, blank=True)
    country = models.CharField(max_length=2, blank=True, validators=[known_country], help_text="Such as DE or IN.")
    type = models.CharField(
        max_length=40, default="customer", help_text="A text of your own: customer, wholesale, staff."
    )
    tier = models.CharField(max_length=80, null=True, blank=True, editable=False)
    tier_since = models.DateTimeField(null=True, editable=False)
    tier_counts_from = models.DateTimeField(null=True, editable=False)  # what it is held by; null: everything
    tier_expires_at = models.DateTimeField(null=True, editable=False)
    tier_judged_at = models.DateTimeField(null=True, editable=False)  # by the last review
    birth_date = models.DateField(null=True, blank=True)
    referral_code = models.CharField(
        max_length=40, null=True, blank=True, help_text="The code this customer gives to friends."
    )
    referred_by_code = models.CharField(
        "referred by code", max_length=40, blank=True, help_text="The code of the friend who brought this customer."
    )
    consent_email = models.BooleanField("agreed to e-mail", default=False)
    consent_sms = models.BooleanField("agreed to SMS", default=False)
    consent_whatsapp = models.BooleanField("agreed to WhatsApp", default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    _taken: "Taken | None" = None  # while many are judged together: what is looked up for all of them

    if TYPE_CHECKING:
        wallet: Wallet

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint("store", "external_id", name="customer_external_id"),
            models.UniqueConstraint("store", Lower("email"), name="customer_email"),
            models.UniqueConstraint("store", "mobile", name="customer_mobile"),
            models.UniqueConstraint("store", "referral_code", name="customer_referral_code"),
        ]
        indexes = [
            models.Index(fields=["store", "-id"], name="customer_newest"),
            models.Index(fields=["store", "tier"], name="customer_tier"),
            models.Index(fields=["store", "tier_judged_at"], name="customer_tier_judged"),
            models.Index(
                fields=["tier_expires_at"], condition=Q(tier_expires_at__isnull=False), name="customer_tier_ends"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.mobile or self.external_id or str(self.id)

    def consents_to(self, channel: str) -> bool:
        """Whether this person agreed to be reached this way (one of `Channel`)."""
        return bool(getattr(self, f"consent_{Channel(channel).value}"))

    def clean(self) -> None:
        """Identifiers in their one spelling, each free in this store; at least one of them is there. All faults at once."""
        faults: dict[str, Any] = {}
        for rule in (self.prepare, self._refuse_without_identifier, self._refuse_what_is_taken):
            try:
                rule()
            except ValidationError as error:
                faults = error.update_error_dict(faults)
        if faults:
            raise ValidationError(faults)

    def check_new(self, taken: "Taken") -> None:
        """As `full_clean()` of a new row, by what was looked up for it and others. Raises ValidationError."""
        self._taken = taken
        try:
            self.full_clean(exclude={"store"}, validate_unique=False, validate_constraints=False)
        finally:
            self._taken = None

    def save(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().save(*args, **kwargs)
        except IntegrityError:  # somebody else took it after `clean()` had looked
            self._refuse_what_is_taken()
            raise

    @classmethod
    def make_parts(cls, new: list[Self]) -> None:
        Wallet.objects.bulk_create([Wallet(store_id=customer.store_id, customer=customer) for customer in new])

    def _refuse_without_identifier(self) -> None:
        if not any(getattr(self, name) for name in self.IDENTIFIERS):
            raise ValidationError(
                "A customer needs at least one of customer id, e-mail and mobile number.", code="no_identifier"
            )

    def _refuse_what_is_taken(self) -> None:
        (self._taken or Taken([self])).refuse(self)

    def names(self) -> set[Name]:
        """What nobody else in its store may have, as far as it can be read; as it is stored."""
        prepared = copy.copy(self)
        with contextlib.suppress(ValidationError):  # a mobile number that is none is refused, and nobody has it
            prepared.prepare()
        return {(column, value) for column in self.UNIQUE if (value := getattr(prepared, column))}

    def prepare(self) -> None:
        """One spelling for each identifier; what is empty is unknown (null), so that it is not "taken"."""
        self.referral_code = (self.referral_code or "").strip() or None
        for kind in self.IDENTIFIERS:
            try:
                setattr(self, kind, spelled(kind, getattr(self, kind) or "", store=self.store))
            except ValidationError as error:
                raise ValidationError({kind: error}) from None


class Taken:
    """Which names of these customers others of their store have: one query, however many they are."""

    def __init__(self, customers: Sequence[Customer]) -> None:
        themselves = {customer.pk for customer in customers}
        names = {name for customer in customers for name in customer.names()}
        found = Customer.objects.named(names, store=customers[0].store)
        self._names = {name for name, customer in found.items() if customer.pk not in themselves}

    def add(self, customer: Customer) -> None:
        """This one has its names from now on."""
        self._names |= customer.names()

    def refuse(self, customer: Customer) -> None:
        """Raise ValidationError, with each name that it cannot have."""
        if taken := {
            column: ValidationError(f"Another customer of this store has the {label} {value}.", code="taken")
            for column, label in Customer.UNIQUE.items()
            if (value := getattr(customer, column)) and (column, value) in self._names
        }:
            raise ValidationError(taken)
