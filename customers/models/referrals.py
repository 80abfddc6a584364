"""Referrals: a customer brings a friend, and both are rewarded when the friend buys something."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from django.db import IntegrityError, models
from django.db.models import Q
from django.utils import timezone

from customers.facts import Fact, FactModel, FactQuerySet, together
from customers.models.coins import MOST_COINS, Operation, Source, WalletTransactionType
from customers.models.customer import Customer
from customers.models.offer import Coupon
from customers.models.store import Store, StoreModel
from customers.models.wallet import Wallet
from customers.refusals import Conflict, Refused


class ReferralStatus(models.TextChoices):
    STARTED = "started", "Started"
    COMPLETED = "completed", "Completed"


class ReferralQuerySet(FactQuerySet["Referral"]):
    def start(self, *, store: Store, referee: Customer, referral_code: str, silent: bool = False) -> "Referral":
        """Record that the customer with this code brought this friend, who gets the store's coupon for friends.

        Raises Refused when that cannot be, Conflict when the friend was brought before.
        """
        referral = self.model(store=store, referee=referee, referrer=_with_code(store, referral_code))
        referral.clean()
        try:
            with together():
                if not referee.referred_by_code:
                    referee.referred_by_code = referral.referrer.referral_code or ""
                    referee.save(update_fields=["referred_by_code"], silent=silent)
                referral.coupon = _coupon_for(referee, store=store, silent=silent)
                referral.save(silent=silent)
        except IntegrityError:  # somebody else recorded it after `clean()` had looked
            referral.refuse_a_repeat()
            raise
        return referral

    def with_people(self) -> "ReferralQuerySet":
        """With all that events tell of them."""
        people = [f"{who}__{what}" for who in ("referrer", "referee") for what in ("store", "wallet")]
        return self.select_related("store", "coupon", *people)

    def complete_by_orders(self, facts: Iterable[Fact], *, bought: models.QuerySet[Any]) -> None:
        """Complete the referrals of those who ordered something that counts as `bought`. No query without referrals."""
        orders: dict[Any, bool] = {}  # by key: whether it is silent
        for fact in facts:
            order: Any = fact.instance
            if order.store.referrer_coins is not None:
                orders[order.pk] = fact.silent
        if not orders:
            return
        counting = dict(bought.order_by("-id").filter(pk__in=orders).values_list("customer", "pk"))
        if not counting:
            return
        started = self.filter(referee__in=counting, status=ReferralStatus.STARTED, store__referrer_coins__isnull=False)
        for referral in started.with_people().order_by("pk"):
            referral.complete(silent=orders[counting[referral.referee_id]], if_started=True)


class Referral(StoreModel, FactModel):
    """A friend (referee) whom a customer (referrer) brought. Started once for each friend, and completed once.

    Complete in its transaction: events tell of both people as they are with their rewards.
    """

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset({"store_id", "referrer_id", "referee_id", "created_at"})

    referrer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="referrals")
    referee = models.OneToOneField(Customer, on_delete=models.CASCADE, related_name="referral", verbose_name="friend")
    status = models.CharField(max_length=10, choices=ReferralStatus, default=ReferralStatus.STARTED, editable=False)
    coupon = models.OneToOneField(
        Coupon, on_delete=models.SET_NULL, null=True, editable=False, related_name="+", help_text="That the friend got."
    )
    reward_amount = models.BigIntegerField(
        "coins rewarded", null=True, editable=False, help_text="What the referrer got, once it is completed."
    )
    completed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField("started at", auto_now_add=True)

    objects = ReferralQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(
                condition=Q(status="started", completed_at=None) | Q(status="completed", completed_at__isnull=False),
                name="referral_completed_at",
            ),
        ]
        indexes = [models.Index(fields=["store", "-id"], name="referral_newest")]

    def __str__(self) -> str:
        return f"{self.referrer} → {self.referee}"

    @property
    def link(self) -> str | None:
        """Where the referrer sends friends to; None where the store has no page of its own."""
        page = self.store.rewards_page or self.store.website
        if not page or not self.referrer.referral_code:
            return None
        ref = urlencode({"ref": self.referrer.referral_code})
        parts = urlsplit(page)
        return parts._replace(path=parts.path or "/", query=f"{parts.query}&{ref}" if parts.query else ref).geturl()

    def clean(self) -> None:
        self._refuse_without_setting()
        if {self.referrer.store_id, self.referee.store_id} != {self.store_id}:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")
        if self.referrer_id == self.referee_id:
            raise Refused("referral_code", "Nobody can bring themselves: this is the customer's own code.", code="own")
        self.refuse_a_repeat()

    def refuse_a_repeat(self) -> None:
        """Raise Conflict when this friend was brought before."""
        if known := Referral.objects.filter(referee=self.referee_id).exclude(pk=self.pk).first():
            sentence = f"{self.referee} was brought by {known.referrer} already."
            raise Conflict("customer", sentence, code="already_referred")

    def check_change(self, previous: Mapping[str, Any]) -> None:
        """A completed one stays so."""
        super().check_change(previous)
        if previous.get("status") == ReferralStatus.COMPLETED:
            raise _already(ReferralStatus.COMPLETED)

    def complete(self, *, silent: bool = False, if_started: bool = False) -> None:
        """The friend bought something: both get their coins, and the referral is over, in one transaction.

        Raises Conflict when it was completed before (with `if_started`, nothing happens then), Refused when the store has
        no referrals any more. What a wallet cannot hold is left out: a full one keeps nobody from completing.
        """
        self._refuse_without_setting()
        with together():
            rows = Referral.objects.select_for_update(of=("self",), no_key=True)
            now = rows.filter(pk=self.pk).values_list("status", flat=True).first()
            if now != ReferralStatus.STARTED:
                if if_started:
                    return
                raise _already(now or "deleted")
            self.reward_amount = self._reward(silent=silent)
            self.status, self.completed_at = ReferralStatus.COMPLETED, timezone.now()
            # Balances and tiers moved with the rewards: what is told is what they are now.
            people = Customer.objects.select_related("store", "wallet").in_bulk([self.referrer_id, self.referee_id])
            self.referrer, self.referee = people[self.referrer_id], people[self.referee_id]
            self.save(silent=silent, update_fields=["status", "completed_at", "reward_amount"])

    def _reward(self, *, silent: bool) -> int:
        """Give both their coins; returns how many the referrer got."""
        wanted = {
            self.referrer_id: (self.store.referrer_coins, f"Brought {self.referee}"),
            self.referee_id: (self.store.referee_coins, f"Brought by {self.referrer}"),
        }
        given = dict.fromkeys(wanted, 0)
        for wallet in Wallet.objects.filter(customer__in=wanted).locked():
            coins, title = wanted[wallet.customer_id]
            if amount := min(coins or 0, MOST_COINS - wallet.balance):
                wallet.record(
                    type=WalletTransactionType.REWARD,
                    operation=Operation.CREDIT,
                    source=Source.REFERRAL,
                    amount=amount,
                    title=title[:120],
                    silent=silent,
                )
                given[wallet.customer_id] = amount
        return given[self.referrer_id]

    def _refuse_without_setting(self) -> None:
        if self.store.referrer_coins is None:
            raise Refused("referral_code", "There are no referrals in this store: set what they are worth.", code="off")


def _already(status: str) -> Conflict:
    return Conflict("status", f"This referral is already {status}.", code="not_started")


def _with_code(store: Store, code: str) -> Customer:
    """The customer of this store whose code it is. Raises Refused."""
    code = code.strip()
    referrer = Customer.objects.select_related("store", "wallet").filter(store=store, referral_code=code).first()
    if referrer is None or not code:
        sentence = f"No customer of this store has the referral code {code}."
        raise Refused("referral_code", sentence, code="does_not_exist")
    return referrer


def _coupon_for(referee: Customer, *, store: Store, silent: bool) -> Coupon | None:
    """The coupon that the store gives to friends; None when it gives none now."""
    offer = store.referral_offer
    if offer is None or not offer.enabled:
        return None
    coupon = Coupon.by_offer(offer, referee)
    coupon.save(silent=silent)
    return coupon
