"""What drf-spectacular cannot see by itself: the key, the problems, and a page that a strict CSP allows."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.views import SpectacularSwaggerSplitView

from config.problems import MEDIA_TYPE
from customers.api.bulk import MOST
from customers.idempotency import LONGEST_KEY, REPLAYED
from customers.models.kept_answer import HEADER
from customers.serializers import CUSTOMER_REFERENCE

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "All of `errors` in one text, for a person."},
        "instance": {"type": "string", "format": "uri-reference", "description": "The path of the request."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "description": "Dotted; empty where it is about the whole request."},
                    "code": TEXT,
                    "message": TEXT,
                },
                "required": ["field", "code", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "instance", "errors"],
}
ONCE = {
    "name": HEADER,
    "in": "header",
    "description": "A UUID or another text of your own: sent again within 24 hours, the same request is not done again, "
    f"and gets the same answer with the header {REPLAYED}. Another request under this key is answered 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"},
}
ALWAYS = {"401": "The key is missing, unknown, expired or revoked."}
OF_READS = {"400": "A parameter is unknown or cannot be read."}
OF_WRITES = {
    "400": "The body breaks a rule; `errors` names the fields.",
    "409": "It contradicts what is already there.",
}
OF_ROWS = {"404": "This store has no such row."}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "customers.tenancy.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key` and a space, then a key of the store.",
        }


class ItemListField(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "customers.api.bulk.ItemList"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        item = auto_schema.resolve_serializer(self.target.child, direction)
        return {"type": "array", "items": item.ref, "minItems": 1, "maxItems": MOST}


class DocsView(SpectacularSwaggerSplitView):
    template_name = "api_docs.html"


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook: every operation tells which problems it may answer with, every body that it is strict."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
            if {*CUSTOMER_REFERENCE} <= schema.get("properties", {}).keys():
                schema["oneOf"] = [{"required": [each]} for each in CUSTOMER_REFERENCE]
    result["components"]["schemas"]["Problem"] = PROBLEM
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            if method == "post":
                operation.setdefault("parameters", []).append(ONCE)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and parameter["schema"].get("type") == "string":
                    parameter["schema"].setdefault("minLength", 1)  # an empty one is refused
            problems = ALWAYS | (OF_WRITES if method in ("post", "patch") else {})
            problems |= (OF_READS if method == "get" else {}) | (OF_ROWS if "{" in path else {})
            for status, description in problems.items():
                operation["responses"].setdefault(status, {"description": description, "content": content})
    return result
