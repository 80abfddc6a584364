"""What to do next after a test event, by what its answer meant."""

from collections.abc import Mapping
from dataclasses import dataclass

from integrations.destinations.base import Verdict
from integrations.models import Integration


@dataclass(frozen=True)
class Advice:
    """A sentence, and where its cure is: the words of a link, and the name of its address in the admin, if any."""

    sentence: str
    action: str = ""
    url_name: str = ""


_MEND = ("Check its settings", "admin:integrations_integration_change")

_ADVICE: Mapping[Verdict, Advice] = {
    Verdict.ACCEPTED: Advice("Look for it in {integration}: it is marked there by event_is_test = true."),
    Verdict.RETRY: Advice(
        "{integration} could not take it now. Check that its address is right, wait a few minutes, and test again.",
        *_MEND,
    ),
    Verdict.REJECTED: Advice(
        "{integration} will not take it as it is. Its answer mostly says what it wants; mend that, and test again.",
        *_MEND,
    ),
    Verdict.SKIPPED: Advice("Nothing was sent. Test with another customer, or change what the reason above names."),
    Verdict.CREDENTIALS_REFUSED: Advice(
        "{integration} does not accept the credentials. Enter them again, and test again.",
        "Enter the credentials",
        _MEND[1],
    ),
    Verdict.GONE: Advice(
        "Nobody wants events at this address any more. Give {integration} another one, and test again.", *_MEND
    ),
}


def advice(verdict: Verdict, integration: Integration) -> Advice:
    """What to do next, said of this integration."""
    found = _ADVICE[verdict]
    return Advice(found.sentence.format(integration=integration.name), found.action, found.url_name)
