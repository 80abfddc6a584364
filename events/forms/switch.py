"""What becomes of what is held, when the store's events switch is opened."""

from typing import Any

from django import forms

from events.switching import Keep


class SwitchOnForm(forms.Form):
    """Nothing is chosen beforehand: what goes out cannot be called back."""

    keep = forms.ChoiceField(
        label="What shall become of what is held?",
        choices=Keep.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what shall become of what is held."},
    )
    hours = forms.IntegerField(
        label="Hours",
        required=False,
        initial=24,
        min_value=1,
        max_value=24 * 365,
        error_messages={
            "invalid": "Enter the hours as a whole number.",
            "min_value": "Enter at least 1 hour.",
            "max_value": "Enter at most 8760 hours, which is a year.",
        },
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("keep") == Keep.NEWER and given.get("hours") is None and "hours" not in self.errors:
            self.add_error("hours", "Enter how many hours old an event may be.")
        return given
