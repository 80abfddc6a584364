"""The people who work in stores: found by their e-mail address, or made with a password that is shown once."""

import secrets

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q

from customers.refusals import Refused


def person(email: str, *, password: str | None = None) -> tuple[User, str | None]:
    """The user with this address, who may now enter the admin; a new one with the password that is to be shown.

    `password`: that of a new user; None: a random one, returned. Raises Refused at `email` or `password`.
    """
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Refused("email", f"“{email}” is not an e-mail address.", code="invalid") from None
    known = User.objects.filter(Q(email__iexact=email) | Q(username__iexact=email))[:2]
    if len(known) > 1:
        sentence = f"Several users have the address {email}: make one of them a member in the admin."
        raise Refused("email", sentence, code="several")
    if not known:
        return _new(email, password)
    user = known[0]
    if password is not None:
        sentence = f"{user} has a login already, which stays as it is. Leave --password out."
        raise Refused("password", sentence, code="has_login")
    if not user.is_active:
        raise Refused("email", f"The user {user} is switched off.", code="switched_off")
    if not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    return user, None


def _new(email: str, password: str | None) -> tuple[User, str | None]:
    user = User(username=email, email=email, is_staff=True)
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise Refused("password", " ".join(error.messages), code="weak") from None
    shown = secrets.token_urlsafe(12) if password is None else None
    user.set_password(password or shown)
    try:
        user.full_clean()
    except ValidationError as error:
        raise Refused("email", error.messages[0], code="invalid") from None
    user.save()
    return user, shown
