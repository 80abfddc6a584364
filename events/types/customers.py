"""Events about customers themselves."""

from collections.abc import Mapping
from typing import Any

from customers.models import Customer
from events.catalogue import created, declare, updated
from events.common import CUSTOMER_FIELDS, customer_payload
from events.fields import Field, Kind

CONSENTS = tuple(
    Field(name=f"user_consent_{channel}", kind=Kind.BOOLEAN, label=f"Agreed to {label}", sample=True, nullable=False)
    for channel, label in (("email", "e-mail"), ("sms", "SMS"), ("whatsapp", "WhatsApp"))
)

LEAD_FIELDS = (*CUSTOMER_FIELDS, *CONSENTS)  # its own, so that an update tells which of them changed


def himself(customer: Customer) -> Customer:
    """The customer of a fact about a customer."""
    return customer


def _fields(customer: Customer) -> dict[str, Any]:
    consents = {field.name: getattr(customer, field.name.removeprefix("user_")) for field in CONSENTS}
    return customer_payload(customer) | consents


def _joined(payload: Mapping[str, Any]) -> str:
    """Such as `Asha Rao joined`."""
    return f"{payload['user_name'] or payload['user_email'] or 'Somebody'} joined"


@declare(
    key="lead_create",
    label="Customer Is Created",
    group="Customers",
    model=Customer,
    when=created,
    customer=himself,
    fields=LEAD_FIELDS,
    tell=_joined,
)
def lead_create(customer: Customer) -> dict[str, Any]:
    """Fires when a customer joins the store's loyalty programme."""
    return _fields(customer)


@declare(
    key="lead_update",
    label="Customer Is Updated",
    group="Customers",
    model=Customer,
    when=updated,
    customer=himself,
    fields=LEAD_FIELDS,
)
def lead_update(customer: Customer) -> dict[str, Any]:
    """Fires when something about a customer changes: name, e-mail, mobile, consent. Not the balance, not the tier."""
    return _fields(customer)
