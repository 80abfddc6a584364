"""What the row rules say when they refuse: sentences that a form shows at its field and the API returns as a problem.

ValidationError (Django)
└── Refused              the request breaks a rule of the shop; nothing was written (HTTP 400)
    └── Conflict         it contradicts something that is already there (HTTP 409)
"""

from django.core.exceptions import ValidationError


class Refused(ValidationError):
    """A broken rule, with the field it was entered in: `Refused("amount", "Only 40 coins are there.", code="...")`."""

    def __init__(self, field: str, sentence: str, *, code: str) -> None:
        super().__init__({field: ValidationError(sentence, code=code)})
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class Conflict(Refused):
    """The same thing was already said, differently."""
