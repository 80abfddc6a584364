"""Rewards within reach: a balance rose to what the cheapest offer costs, or to what the store has set."""

from collections.abc import Iterable
from typing import ClassVar

from django.db import models

from customers.facts import Fact, FactModel, FactQuerySet
from customers.models.coins import Operation
from customers.models.offer import Offer
from customers.models.store import Store, StoreModel
from customers.models.wallet import WalletTransaction


class AvailableRewardQuerySet(FactQuerySet["AvailableReward"]):
    def notice(self, effective: Iterable[Fact]) -> None:
        """Record for which of these ledger entries, which took effect, the balance rose from below to enough.

        Again only after it fell below: an entry that began with enough reaches nothing. One query for each store, and
        one where anything was reached.
        """
        credits: dict[Store, list[tuple[WalletTransaction, bool]]] = {}
        for fact in effective:
            entry = fact.instance
            assert isinstance(entry, WalletTransaction)
            if entry.operation == Operation.CREDIT:
                credits.setdefault(entry.wallet.store, []).append((entry, fact.silent))
        reached: dict[bool, list[AvailableReward]] = {}
        for store, entries in credits.items():
            price, offer = _goal(store)
            for entry, silent in entries:
                assert entry.balance_after is not None
                if price and entry.balance_after - entry.amount < price <= entry.balance_after:
                    reward = self.model(
                        store=store, customer=entry.wallet.customer, transaction=entry, offer=offer, price=price
                    )
                    reached.setdefault(silent, []).append(reward)
        for silent, rewards in reached.items():
            self.bulk_create(rewards, silent=silent)


class AvailableReward(StoreModel, FactModel):
    """A customer has enough coins for a reward now, and had not before this entry of the ledger."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset({"store_id", "customer_id", "transaction_id", "price"})

    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="available_rewards")
    transaction = models.OneToOneField(
        WalletTransaction, on_delete=models.CASCADE, editable=False, related_name="available_reward"
    )
    offer = models.ForeignKey(Offer, on_delete=models.SET_NULL, null=True, editable=False, related_name="+")
    price = models.PositiveIntegerField(editable=False)  # in coins
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AvailableRewardQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["store", "-id"], name="available_reward_newest")]

    def __str__(self) -> str:
        return f"{self.offer or self.price} for {self.customer}"


def _goal(store: Store) -> tuple[int | None, Offer | None]:
    """How many coins a reward takes in this store, and the offer that costs so many; None where there is none."""
    if store.reward_available_at is not None:
        return store.reward_available_at, None
    cheapest = Offer.objects.filter(store=store, enabled=True).order_by("price", "name").first()
    return (cheapest.price, cheapest) if cheapest else (None, None)
