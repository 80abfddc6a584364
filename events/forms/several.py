"""Several send events at once: ticked together, to one integration, with one prefix."""

from typing import Any

from django import forms

from customers.models import Store
from events.recipes import RECIPES, Recipe, groups, plain
from integrations.models import Integration


class SeveralForm(forms.Form):
    """Each one starts with the restrictions of its recipe or event."""

    starts = forms.MultipleChoiceField(
        label="What shall be sent?",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one."},
    )
    integration = forms.ModelChoiceField(
        queryset=Integration.objects.none(),
        empty_label="Choose an integration",
        error_messages={"required": "Choose where they go."},
    )
    prefix = forms.CharField(  # type: ignore[assignment]  # Django's own prefix stays: fields are taken out of the class
        label="Name prefix", required=False, max_length=40, help_text="Put before every name, such as nector_."
    )

    def __init__(self, data: Any = None, *, store: Store) -> None:
        super().__init__(data, label_suffix="")
        self.store = store
        integrations: Any = self.fields["integration"]
        integrations.queryset = Integration.objects.existing().filter(store=store, enabled=True)
        if len(only := list(integrations.queryset[:2])) == 1:
            self.initial["integration"] = only[0].pk
        self.offered: dict[str, dict[str, Recipe]] = {
            "Recipes": {f"recipe:{key}": recipe for key, recipe in RECIPES.items()},
            **{group: {kind.key: plain(kind) for kind in kinds} for group, kinds in groups().items()},
        }
        starts: Any = self.fields["starts"]
        starts.choices = [(value, recipe.label) for offers in self.offered.values() for value, recipe in offers.items()]

    @property
    def chosen(self) -> list[Recipe]:
        """What was ticked, once the form is valid."""
        known = {value: recipe for offers in self.offered.values() for value, recipe in offers.items()}
        return [known[value] for value in self.cleaned_data["starts"]]
