"""The project's own receiver: see what is sent before any real tool is connected."""

from collections.abc import Iterator

from django.conf import settings

from integrations.destinations.base import Destination, Message, envelope
from integrations.http import Request


class Sandbox(Destination):
    key = "sandbox"
    label = "Sandbox"
    description = "A built-in receiver that keeps what it got and shows it, to try everything without a real tool."

    @classmethod
    def offered(cls) -> bool:
        return bool(settings.SANDBOX)

    def calls(self, message: Message) -> Iterator[Request]:
        yield Request(
            url=f"http://{settings.SANDBOX_ADDRESS}/inbox/{self.integration_id}",
            headers={"Content-Type": "application/json", "webhook-id": str(message.id)},
            body=envelope(message),
        )

    def check_credentials(self) -> Request:
        return Request(method="GET", url=f"http://{settings.SANDBOX_ADDRESS}/health", headers={})
