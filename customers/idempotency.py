"""`Idempotency-Key` on every POST of the API: the same request under the same key is done once, and answered alike."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

from django.db import DatabaseError, transaction
from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from customers.models.coins import fingerprint
from customers.models.kept_answer import HEADER, KeptAnswer
from customers.refusals import Refused

REPLAYED = "Idempotent-Replayed"  # on an answer that was kept
LONGEST_KEY = 255


def read_key(header: str) -> str:
    """The key, also in the quotes of the draft (a Structured Fields string). Raises Refused when it can be none."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= LONGEST_KEY):
        sentence = f"An {HEADER} is 1 to {LONGEST_KEY} letters, digits and signs of ASCII, such as a UUID."
        raise Refused(HEADER, sentence, code="invalid")
    return key


class OnceMixin:
    """For viewsets: a POST with a key is done in one transaction with the note of its answer, so neither is without the other.

    Refusals are kept like successes. Not kept is what may turn out otherwise on its own: our own failures, and writes
    that lost against another one.
    """

    calls_out: ClassVar[frozenset[str]] = frozenset()  # actions that call a tool: never inside a transaction

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticated and permitted: DRF looks for the handler next, and finds one that answers once."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if request.method == "POST" and HEADER in request.headers:
            key = read_key(request.headers[HEADER])
            self.post = partial(self._once, self.post, key)  # type: ignore[has-type]

    def _once(
        self, handler: Callable[..., HttpResponse], key: str, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        said = fingerprint(address=request.get_full_path(), body=request.data)
        kept = KeptAnswer.objects.begin(store=self.store, key=key, fingerprint=said)  # type: ignore[attr-defined]
        if kept.is_answered:
            return HttpResponse(kept.body, status=kept.status, content_type=kept.media_type, headers={REPLAYED: "true"})
        one = nullcontext if self.action in self.calls_out else transaction.atomic  # type: ignore[attr-defined]
        try:
            with one():
                return self._answer(kept, partial(handler, request, *args, **kwargs), one)
        except Exception:
            kept.forget()
            raise

    def _answer(self, kept: KeptAnswer, handler: Callable[[], HttpResponse], one: Callable[..., Any]) -> HttpResponse:
        response: HttpResponse
        try:
            with one():  # a refusal undoes what was done before it, and is kept
                response = handler()
        except Exception as error:  # noqa: BLE001 - what is nobody's bad input is raised again
            response = self.handle_exception(error)  # type: ignore[attr-defined]
            if isinstance(error, DatabaseError):
                kept.forget()
                return response
        if isinstance(response, Response):  # not rendered yet
            media_type, body = str(JSONRenderer.media_type), JSONRenderer().render(response.data)
        else:
            media_type, body = response["Content-Type"], response.content
        kept.keep(status=response.status_code, media_type=media_type, body=body.decode())
        return response
