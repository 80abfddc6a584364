"""Orders, as the shop tells of them: an order and its items are one fact, announced once and complete."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from customers.facts import Fact, FactModel, FactQuerySet
from customers.models.customer import Customer
from customers.models.order_statuses import FinancialStatus, OrderDeliveryStatus, OrderStatus
from customers.models.referrals import Referral
from customers.models.store import Store, StoreModel, TierCriterion, known_currency
from customers.models.tiers import MEASURES, Measure, TierChange
from customers.models.wallet import Wallet
from customers.refusals import Conflict, Refused

MOST_ITEMS = 500  # of one order


OVER = frozenset({OrderStatus.CANCELLED.value, OrderStatus.REFUNDED.value})  # from here an order never comes back


class OrderQuerySet(FactQuerySet["Order"]):
    def place(
        self, *, store: Store, customer: Customer, items: Iterable["Item"] = (), silent: bool = False, **fields: Any
    ) -> "Order":
        """Record a new order with its items; `items` name `product_id`, `title`, `quantity` and `price` (of one piece).

        Without an `amount` it is the sum of the items. Raises Conflict when the store has an order with this
        `reference_order_id`, Refused or ValidationError when something breaks a rule.
        """
        order = self.model(store=store, customer=customer, **fields)
        order.prepare()
        order.refuse_a_repeat()
        order.contain(items)
        if "amount" not in fields:
            order.amount = sum((item.quantity * item.price for item in order.unwritten), Decimal(0))
        try:
            order.full_clean()
        except ValidationError:  # which says nothing of a Conflict: another one with this id came in this moment
            order.refuse_a_repeat()
            raise
        order.write(silent=silent)
        return order

    def counting(self) -> "OrderQuerySet":
        """Those that count as bought: completed or paid, neither cancelled nor refunded, in the store's own currency."""
        bought = Q(status=OrderStatus.COMPLETED) | Q(
            financial_status__in=[FinancialStatus.PAID, FinancialStatus.PARTIALLY_REFUNDED]
        )
        rows = self.filter(bought).exclude(status__in=OVER).exclude(financial_status=FinancialStatus.REFUNDED)
        return rows.filter(currency=F("store__currency"))


class Order(StoreModel, FactModel):
    """What a customer ordered in the shop. `place()` makes one; `write()` changes it, with or without its items."""

    UNALTERABLE: ClassVar[frozenset[str]] = frozenset({"store_id", "customer_id"})

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, db_index=False, related_name="orders")
    reference_order_id = models.CharField(
        "order id", max_length=120, help_text="The order's id in your shop: each is recorded once in a store."
    )
    name = models.CharField(max_length=120, blank=True, help_text="As people call it, such as #1042.")
    status = models.CharField(max_length=10, choices=OrderStatus, default=OrderStatus.PENDING)
    financial_status = models.CharField(max_length=18, choices=FinancialStatus, default=FinancialStatus.PENDING)
    delivery_status = models.CharField(max_length=19, choices=OrderDeliveryStatus, default=OrderDeliveryStatus.PENDING)
    amount = models.DecimalField(
        max_digits=14, decimal_places=2, default=0, validators=[MinValueValidator(0)], help_text="What is to be paid."
    )
    currency = models.CharField(
        max_length=3,
        blank=True,
        validators=[known_currency],
        help_text="ISO 4217 code, such as EUR or INR. Left empty, it is the store's currency.",
    )
    created_at = models.DateTimeField("placed at", default=timezone.now, help_text="When it was placed in the shop.")

    objects = OrderQuerySet.as_manager()  # type: ignore[misc]  # takes the place of FactModel's

    class Meta:
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["store", "reference_order_id"], name="order_recorded_once")]
        indexes = [
            models.Index(fields=["store", "-id"], name="order_newest"),
            models.Index(fields=["customer", "created_at"], name="order_of_customer"),
        ]

    def __str__(self) -> str:
        return self.name or self.reference_order_id

    @cached_property
    def unwritten(self) -> list["OrderItem"]:
        """Items that `contain()` prepared and the next `write()` writes."""
        return []

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Its items as events tell them, in their order: `product_id`, `title`, `quantity`, `price` (a decimal text)."""
        return [item.line for item in self.items.all()]

    def clean(self) -> None:
        self.prepare()
        if self.customer_id is not None and self.customer.store_id != self.store_id:
            raise Refused("customer", "This customer is not one of this store's.", code="does_not_exist")
        try:
            self.refuse_a_repeat()
        except Conflict as conflict:
            raise Refused("reference_order_id", conflict.sentence, code="taken") from None

    def prepare(self) -> None:
        """One spelling of its id, an amount in decimals, and the store's currency where none is said."""
        self.reference_order_id = (self.reference_order_id or "").strip()
        self.amount = Order.amount.field.to_python(self.amount)
        self.currency = self.currency or self.store.currency

    def check_change(self, previous: Mapping[str, Any]) -> None:
        """A cancelled or refunded order never comes back; a cancelled one may still be refunded."""
        super().check_change(previous)
        was = previous.get("status")
        if was in OVER and self.status != OrderStatus.REFUNDED:
            raise Conflict("status", f"This order is already {was}.", code="order_over")

    def refuse_a_repeat(self) -> None:
        """Raise Conflict when another order of this store has its id."""
        others = Order.objects.filter(store=self.store_id, reference_order_id=self.reference_order_id)
        if others.exclude(pk=self.pk).exists():
            raise Conflict(
                "reference_order_id",
                f"An order with the id {self.reference_order_id} was already recorded in this store.",
                code="taken",
            )

    def contain(self, items: Iterable["Item"]) -> None:
        """Prepare exactly these items for the next `write()`. Raises ValidationError that names the item."""
        rows = [OrderItem.of(self, number, item) for number, item in enumerate(items, start=1)]
        if len(rows) > MOST_ITEMS:
            raise Refused("items", f"An order has at most {MOST_ITEMS} items.", code="too_many")
        self.unwritten = rows
        if self._state.adding:
            self.lines = [row.line for row in rows]

    def write(self, *, items: Iterable["Item"] | None = None, silent: bool = False) -> None:
        """Save this order, new or changed, with exactly these items (None: those it has), as one fact.

        For forms too: leave the form's row unsaved, and call this with the items of the formset.
        """
        if items is not None:
            self.contain(items)
        try:
            with transaction.atomic():
                if self._state.adding:
                    self.save(silent=silent)
                else:
                    self._save_with_items(silent=silent, replace=items is not None)
        except IntegrityError:  # somebody else recorded this id after `clean()` had looked
            self.refuse_a_repeat()
            raise

    def move(
        self, *, status: str | None = None, financial_status: str | None = None, delivery_status: str | None = None
    ) -> None:
        """Take over what the shop says of it now; None leaves a status as it is, whatever this row knew of it.

        Raises ValidationError for a status that there is not, Conflict when the order is over.
        """
        said = {"status": status, "financial_status": financial_status, "delivery_status": delivery_status}
        moved = {name: value for name, value in said.items() if value is not None}
        before = {name: getattr(self, name) for name in moved}
        for name, value in moved.items():
            setattr(self, name, value)
        try:
            self.clean_fields(exclude={field.name for field in self._meta.fields} - moved.keys())
            self.save(update_fields=[*moved])
        except ValidationError:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    @classmethod
    def make_parts(cls, new: list[Self]) -> None:
        OrderItem.objects.bulk_create([item for order in new for item in order.unwritten], batch_size=500)
        for order in new:
            order.lines = [item.line for item in order.unwritten]
            order.unwritten = []

    @classmethod
    def follow(cls, new: list[Fact]) -> None:
        """What is bought may complete a referral; bought or taken back, it may move its customer to another tier."""
        Referral.objects.complete_by_orders(new, bought=cls.objects.counting())
        orders = [fact.instance for fact in new]
        customers = {
            order.customer_id
            for order in orders
            if isinstance(order, cls) and order.store.tier_criterion in ORDER_CRITERIA
        }
        if customers:
            wallets = Wallet.objects.filter(customer__in=customers).locked()
            silent = all(fact.silent for fact in new)
            TierChange.objects.judge([wallet.customer for wallet in wallets], silent=silent)

    def _save_with_items(self, *, silent: bool, replace: bool) -> None:
        Order.objects.select_for_update(no_key=True).get(pk=self.pk)  # nobody else changes its items meanwhile
        stored = [item.line for item in OrderItem.objects.filter(order=self)]
        wanted = [item.line for item in self.unwritten] if replace else stored
        if wanted != stored:
            OrderItem.objects.filter(order=self).delete()
            OrderItem.objects.bulk_create(self.unwritten, batch_size=500)
        self.lines, self.unwritten = wanted, []
        self.save(silent=silent, parts_before={"lines": stored} if wanted != stored else None)


class OrderItem(StoreModel):
    """One line of an order. No fact of its own: `Order.write()` writes and announces it with its order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, db_index=False, related_name="items", editable=False)
    position = models.PositiveSmallIntegerField(editable=False)
    product_id = models.CharField(max_length=120, blank=True, help_text="The product's id in your shop.")
    title = models.CharField(max_length=250)
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    price = models.DecimalField(
        max_digits=14, decimal_places=2, default=0, validators=[MinValueValidator(0)], help_text="Of one piece."
    )

    class Meta:
        ordering = ("order", "position")
        indexes = [models.Index(fields=["order", "position"], name="order_item_position")]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.title}"

    @property
    def line(self) -> dict[str, Any]:
        """As events tell it."""
        return {
            "product_id": self.product_id or None,
            "title": self.title,
            "quantity": self.quantity,
            "price": f"{self.price:.2f}",
        }

    @classmethod
    def of(cls, order: Order, number: int, item: "Item") -> "OrderItem":
        """The item at this place (from 1) of an order, unsaved. Raises ValidationError at `items`, naming the place."""
        said = {name: getattr(item, name) for name in ITEM_FIELDS} if isinstance(item, OrderItem) else item
        row = cls(store_id=order.store_id, order=order, position=number, **said)
        try:
            row.clean_fields(exclude={"id", "store", "order", "position"})
        except ValidationError as error:
            sentences = [f"Item {number}, {name}: {' '.join(said)}" for name, said in error.message_dict.items()]
            raise ValidationError({"items": sentences}, code="invalid_item") from None
        return row


Item = Mapping[str, Any] | OrderItem
ITEM_FIELDS = ("product_id", "title", "quantity", "price")

ORDER_CRITERIA: dict[str, Combinable] = {TierCriterion.AMOUNT_SPENT: F("amount"), TierCriterion.ORDER_COUNT: Value(1)}
MEASURES.update(
    {
        criterion: Measure(rows=Order.objects.counting, customer="customer", at="created_at", value=value)
        for criterion, value in ORDER_CRITERIA.items()
    }
)
