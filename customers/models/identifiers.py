"""By what customers are known: customer id, e-mail and mobile number, each in the one spelling in which it is stored."""

from collections.abc import Callable
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError

from customers.models.store import Store

Name = tuple[str, Any]  # a column by which one customer of a store is known, and its value, as it is stored


def e164(number: str, *, country: str) -> str:
    """The number in E.164 (+4915112345678), read as one of this country when it has no +.

    Raises ValidationError when it is no number that could exist.
    """
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        parsed = None
    # Not what can be dialled only from next door, which `is_possible_number` would let through.
    possible = phonenumbers.ValidationResult.IS_POSSIBLE
    if parsed is None or phonenumbers.is_possible_number_with_reason(parsed) != possible:
        raise ValidationError(
            "%(number)s is not a mobile number. Write it with its country code, such as +49 1511 2345678.",
            params={"number": number},
            code="invalid_mobile",
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


SPELLINGS: dict[str, Callable[[str, Store], str]] = {
    "external_id": lambda text, store: text,
    "email": lambda text, store: text.lower(),
    "mobile": lambda text, store: e164(text, country=store.country),
}


def spelled(kind: str, text: str, *, store: Store) -> str | None:
    """An identifier as it is stored; None when it is empty. Raises ValidationError when it is no number that could exist."""
    text = text.strip()
    return SPELLINGS[kind](text, store) if text else None
