"""How far an order is: what the shop says of the order itself, of its money, and of its goods."""

from django.db import models


class OrderStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    PROCESSING = "processing", "Processing"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    REFUNDED = "refunded", "Refunded"
    UNKNOWN = "unknown", "Unknown"


class FinancialStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    PAID = "paid", "Paid"
    PARTIALLY_PAID = "partially_paid", "Partially paid"
    REFUNDED = "refunded", "Refunded"
    PARTIALLY_REFUNDED = "partially_refunded", "Partially refunded"


class OrderDeliveryStatus(models.TextChoices):
    """How far the goods are."""

    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    PARTIALLY_DELIVERED = "partially_delivered", "Partially delivered"
    UNDELIVERED = "undelivered", "Undelivered"
    DELIVERY_ATTEMPTED = "delivery_attempted", "Delivery attempted"
