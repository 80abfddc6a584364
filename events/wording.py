"""Restrictions as a person says them: "only rewards of at least 100 coins".

What has no natural way of saying it is said in the restriction's own words.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from events.restrictions import Restriction

_AMOUNTS = {"at_least": "at least {0}", "at_most": "at most {0}", "between": "{0} to {1}"}


def in_words(restrictions: Iterable[Restriction]) -> str:
    """One phrase for all of them, such as `only credited rewards of at least 100 coins, if has e-mail`; empty for none.

    Values of a choice field are what is counted (its `nouns`) or describe it; a number whose label is one word is an
    amount of that.
    """
    nouns: list[str] = []
    adjectives: list[str] = []
    amounts: list[str] = []
    others: list[str] = []
    for one in restrictions:
        if one.operator.key == "any_of" and one.field.nouns and not nouns:
            nouns.append(_either([one.field.nouns.get(value, value) for value in one.value]))
        elif one.operator.key == "any_of" and one.field.choices:
            adjectives.append(_either([one.field.choice_label(value).lower() for value in one.value]))
        elif one.operator.key in _AMOUNTS and " " not in one.field.label:
            amounts.append(f"{_AMOUNTS[one.operator.key].format(*_values(one))} {one.field.label.lower()}")
        elif one.operator.key == "any_of":
            others.append(f"{_lowered(one.field.label)} is {_either(one.value)}")
        else:
            others.append(_lowered(one.field.label if one.value is True else str(one)))
    if nouns:
        told = " ".join([*adjectives, *nouns, *(["of " + " and ".join(amounts)] if amounts else [])])
        return f"only {told}" + (f", if {', and '.join(others)}" if others else "")
    conditions = [*adjectives, *amounts, *others]
    return f"only if {', and '.join(conditions)}" if conditions else ""


def _values(restriction: Restriction) -> list[Any]:
    value = restriction.value
    return value if isinstance(value, list) else [value]


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _lowered(text: str) -> str:
    """Without the capital at its beginning, where that is no name of its own."""
    first, _, rest = text.partition(" ")
    return text if first.isupper() or rest[:1].isupper() else text[:1].lower() + text[1:]
