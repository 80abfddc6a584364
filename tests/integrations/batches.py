"""A tool that takes several events in one call and says of each what became of it: for tests and for the bench."""

import json
from collections.abc import Sequence
from typing import Any

from integrations.destinations.base import BatchDestination, Judgement, Message, Skip, Verdict, json_body
from integrations.http import Request, Response


class Crate(BatchDestination):
    """Its answer lists a status for each event, as `{"statuses": [200, 400]}`."""

    key = "crate"
    label = "Crate"
    secret_fields = frozenset({"token"})
    batch_size = 100

    def item(self, message: Message) -> Any:
        if message.payload.get("user_customer_id") == "nobody":
            raise Skip("Crate has no place for nobody.")
        return {"id": str(message.id), "type": message.event_name, "data": dict(message.payload)}

    def batch(self, items: Sequence[Any]) -> Request:
        headers = {"Content-Type": "application/json", "x-events": str(len(items))}
        return Request(url=self.settings["url"], headers=headers, body=json_body({"events": items}))

    def judge_each(self, response: Response, count: int) -> Sequence[Judgement]:
        statuses = json.loads(response.body)["statuses"]
        return [
            Judgement(Verdict.ACCEPTED)
            if status < 300
            else Judgement(Verdict.RETRY, "Crate was busy with it.")
            if status >= 500
            else Judgement(Verdict.REJECTED, "Crate refused this one.")
            for status in statuses
        ]
