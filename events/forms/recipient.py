"""Whom a test event is about, as a person enters it."""

from typing import Any

from django import forms
from django.db.models import TextChoices

from customers.models import Store
from customers.refusals import Refused
from events.testing import Recipient, recipient


class Mode(TextChoices):
    """By what the tool is to find the customer."""

    EMAIL = "email", "E-mail"
    MOBILE = "mobile", "Mobile"


class RecipientForm(forms.Form):
    """`recipient` is there once it is valid. `unknown`: the store has no such customer."""

    recipient: Recipient
    unknown = False

    mode = forms.ChoiceField(
        label="Find the customer by",
        choices=Mode.choices,
        initial=Mode.EMAIL,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose e-mail or mobile."},
    )
    address = forms.CharField(
        label="E-mail address or mobile number",
        max_length=320,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Enter the e-mail address or the mobile number of one of your customers."},
    )

    def __init__(self, data: Any = None, *, store: Store) -> None:
        super().__init__(data, label_suffix="")
        self.store = store

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.keys() >= {"mode", "address"}:
            try:
                self.recipient = recipient(self.store, **{given["mode"]: given["address"]})
            except Refused as refused:
                self.unknown = "does_not_exist" in {error.code for error in refused.error_dict[given["mode"]]}
                self.add_error("address", str(refused))
        return given
