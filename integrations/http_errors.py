"""What can go wrong with a call to a stranger, as one tree, so that the senders decide by type and never by text.

    HttpError
      BadRequest       the request itself cannot be sent: malformed URL, invalid header      final
      AddressRefused   the name leads to an address that is not public                       final
      NameNotFound     the name cannot be looked up                                          tried again
      ConnectFailed    no connection, or it broke before the answer                          tried again
      TlsFailed        no secure connection: certificate, protocol                           tried again
      TimedOut         the time was over, at whatever point                                  tried again
      BadAnswer        what came back is not HTTP, or broke off                              tried again

Callers take them from `integrations.http`.
"""

from typing import ClassVar


class HttpError(Exception):
    """A call without a usable answer.

    `summary`: one English sentence for a store's admin; names no address but what the admin wrote, and no secret.
    `ambiguous`: the request may have reached the other side, so sending it again may repeat it there.
    `duration_ms`: milliseconds from the start of the call until it was given up.
    """

    retryable: ClassVar[bool]

    def __init__(self, summary: str, *, ambiguous: bool = False, duration_ms: int = 0) -> None:
        super().__init__(summary)
        self.summary = summary
        self.ambiguous = ambiguous
        self.duration_ms = duration_ms


class BadRequest(HttpError):
    retryable = False


class AddressRefused(HttpError):
    retryable = False


class NameNotFound(HttpError):
    retryable = True


class ConnectFailed(HttpError):
    retryable = True


class TlsFailed(HttpError):
    retryable = True


class TimedOut(HttpError):
    retryable = True


class BadAnswer(HttpError):
    retryable = True
