"""The frame of the API: bodies, problems, paging, strict parameters, schema and documentation."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DataError, IntegrityError
from django.test import Client, override_settings
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.test import APIClient, APIRequestFactory

from config.problems import problem_details
from customers.models import Store
from tests.api_fixtures import problem, refusal
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

CUSTOMERS = "/api/v1/customers/"


def send(api: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return api.generic("POST", CUSTOMERS, body, content_type=content_type)  # type: ignore[arg-type]  # takes bytes too


class TestObjectParser:
    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b"{", "The body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            (b'{"name": NaN}', "The body is not JSON: NaN is not a JSON value"),
            (b'{"name": "\xff"}', "The body is not JSON: it is not in UTF-8."),
            (b"[" * 100_000, "The body is nested too deeply."),
            (b'{"name": "a", "name": "b"}', "The body gives a field twice."),
            (b"[]", 'The body must be a JSON object, such as {"name": "value"}.'),
            (b"null", 'The body must be a JSON object, such as {"name": "value"}.'),
            (b'"text"', 'The body must be a JSON object, such as {"name": "value"}.'),
        ],
    )
    def test_what_is_no_object_is_refused(self, api: APIClient, body: bytes, sentence: str) -> None:
        assert refusal(send(api, body)) == ("", "parse_error", sentence)

    def test_a_number_of_five_thousand_digits_is_refused(self, api: APIClient) -> None:
        field, code, sentence = refusal(send(api, b'{"name": ' + b"9" * 5000 + b"}"))
        assert (field, code) == ("", "parse_error")
        assert sentence.startswith("The body is not JSON: Exceeds the limit")

    @override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
    def test_a_body_beyond_the_limit_is_refused(self, api: APIClient) -> None:
        assert refusal(send(api, b'{"name": "' + b"x" * 100 + b'"}'), 413)[1] == "too_large"

    def test_the_charset_of_the_header_means_nothing(self, api: APIClient) -> None:
        response = send(api, '{"email": "a@x.de", "name": "Zoë"}'.encode(), "application/json; charset=zlib")
        assert response.status_code == 201
        assert response.json()["name"] == "Zoë"

    def test_another_media_type_is_refused(self, api: APIClient) -> None:
        response = send(api, b"email=a@x.de", "application/x-www-form-urlencoded")
        assert refusal(response, 415)[1] == "unsupported_media_type"


class TestProblemDetails:
    def test_a_problem_says_everything(self, api: APIClient) -> None:
        response = api.post(CUSTOMERS, {"email": "nonsense", "nmae": "Asha"})
        assert response["Content-Type"] == "application/problem+json"
        assert response.json() == {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": (
                "email: Enter a valid email address. nmae: There is no such field. The fields are: external_id, email, "
                "mobile, name, country, type, birth_date, referral_code, referred_by_code, consent_email, consent_sms, "
                "consent_whatsapp."
            ),
            "instance": "/api/v1/customers/",
            "errors": [
                {"field": "email", "code": "invalid", "message": "Enter a valid email address."},
                {
                    "field": "nmae",
                    "code": "unknown_field",
                    "message": (
                        "There is no such field. The fields are: external_id, email, mobile, name, country, type, "
                        "birth_date, referral_code, referred_by_code, consent_email, consent_sms, consent_whatsapp."
                    ),
                },
            ],
        }

    def test_without_a_key_it_asks_for_one(self) -> None:
        response = APIClient().get(CUSTOMERS)
        assert refusal(response, 401)[1] == "not_authenticated"
        assert response["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize("secret", ["nonsense", "a.b", "", "\x00.\x00", "ü.ü", "x" * 5000])
    def test_with_a_key_that_is_none(self, store: Store, secret: str) -> None:
        response = APIClient().get(CUSTOMERS, HTTP_AUTHORIZATION=f"Api-Key {secret}")
        assert problem(response, 401)
        assert response["WWW-Authenticate"] == "Api-Key"

    @pytest.mark.parametrize("key", ["nonsense", "0", "%00", "01932c5e-8f3a-7c11-9d1b-2f6f8a4f0c11", "9" * 40])
    @pytest.mark.parametrize("kind", ["customers", "occurrences", "deliveries"])
    def test_a_row_that_is_not_there(self, api: APIClient, kind: str, key: str) -> None:
        response = api.get(f"/api/v1/{kind}/{key}/")
        assert refusal(response, 404) == ("", "not_found", "There is nothing at this address.")

    def test_a_method_that_is_not_there(self, api: APIClient) -> None:
        response = api.delete(CUSTOMERS)
        assert refusal(response, 405) == ("", "method_not_allowed", 'Method "DELETE" not allowed.')
        assert response["Allow"] == "GET, HEAD, POST"

    def test_an_answer_that_is_not_there(self, api: APIClient) -> None:
        assert refusal(api.get(CUSTOMERS, HTTP_ACCEPT="application/xml"), 406)[1] == "not_acceptable"

    def test_half_a_character_is_refused_wherever_it_stands(self, api: APIClient) -> None:
        errors = problem(send(api, b'{"\\ud800": 1, "name": "\\ud800", "country": "\\ud800"}'), 400)
        assert [error["code"] for error in errors][-1] == "unknown_field"
        assert {error["field"] for error in errors} >= {"name", "country"}

    def handle(self, error: Exception) -> Any:
        response = problem_details(error, {"request": APIRequestFactory().get("/api/v1/ü/")})
        assert response is not None
        return response

    def test_a_race_that_the_database_stopped_is_a_conflict(self) -> None:
        response = self.handle(IntegrityError("UNIQUE constraint failed"))
        sentence = "Another request changed the same thing at this moment. Try again."
        assert refusal_of(response, 409) == ("", "conflict", sentence)

    def test_a_value_that_the_database_cannot_store(self) -> None:
        response = self.handle(DataError("value too long"))
        assert refusal_of(response, 400) == ("", "out_of_range", "A value is too long or too large to be stored.")

    def test_throttled_says_when(self) -> None:
        response = self.handle(Throttled(wait=1.2))
        assert response.status_code == 429
        assert response["Retry-After"] == "2"

    def test_nested_fields_are_dotted(self) -> None:
        response = self.handle(ValidationError({"items": [{}, {"price": ["Too much."]}], "non_field_errors": ["Odd."]}))
        assert [error["field"] for error in json.loads(response.content)["errors"]] == ["items.1.price", ""]

    def test_the_instance_is_an_address(self) -> None:
        assert json.loads(self.handle(Throttled()).content)["instance"] == "/api/v1/%C3%BC/"

    def test_what_is_nobodys_bad_input_comes_through(self) -> None:
        assert problem_details(RuntimeError(), {"request": APIRequestFactory().get("/")}) is None


def refusal_of(response: Any, status: int) -> tuple[str, str, str]:
    content = json.loads(response.content)
    assert response.status_code == content["status"] == status
    (error,) = content["errors"]
    return error["field"], error["code"], error["message"]


class TestAddresses:
    def test_one_that_is_not_there_is_a_problem(self, api: APIClient) -> None:
        assert refusal(api.post("/api/v1/nonsense/"), 404) == ("", "not_found", "There is nothing at this address.")
        assert problem(api.get("/api/"), 404)

    def test_the_forgotten_slash_is_told_and_no_body_is_lost(self, api: APIClient) -> None:
        sentence = "There is nothing at this address. Did you mean /api/v1/customers/ (with a slash at the end)?"
        assert refusal(api.post("/api/v1/customers", {"email": "a@x.de"}), 404)[2] == sentence

    def test_no_csrf_token_is_asked_for(self) -> None:
        assert problem(Client(enforce_csrf_checks=True).post("/api/v1/nonsense/"), 404)

    def test_elsewhere_they_are_plain_pages(self) -> None:
        response = Client().get("/nonsense/")
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")

    def test_a_bug_is_a_problem_without_a_traceback(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("secret inside")

        monkeypatch.setattr("customers.models.customer.Customer.full_clean", fail)
        api.raise_request_exception = False
        response = api.post(CUSTOMERS, {"email": "a@x.de"})
        assert refusal(response, 500) == (
            "",
            "internal_server_error",
            "Something went wrong on our side; it was logged.",
        )
        assert b"secret" not in response.content

    def test_a_host_that_is_not_ours_is_a_problem(self, api: APIClient) -> None:
        assert refusal(api.get(CUSTOMERS, HTTP_HOST="evil.example"), 400)[2] == "This request cannot be read."


class TestKeysetPagination:
    def test_pages_run_from_the_newest_to_the_oldest_and_back(self, api: APIClient, store: Store) -> None:
        names = [f"customer {number}" for number in range(5)]
        for name in names:
            make_customer(store, name=name, email=f"{name[-1]}@x.de")
        first = api.get(CUSTOMERS, {"page_size": 2}).json()
        second = api.get(first["next"]).json()
        third = api.get(second["next"]).json()
        assert [row["name"] for page in (first, second, third) for row in page["results"]] == names[::-1]
        assert (first["previous"], third["next"]) == (None, None)
        assert api.get(third["previous"]).json()["results"] == second["results"]

    def test_a_row_made_meanwhile_shifts_nothing(self, api: APIClient, store: Store) -> None:
        for number in range(3):
            make_customer(store, name=str(number), email=f"{number}@x.de")
        first = api.get(CUSTOMERS, {"page_size": 2}).json()
        make_customer(store, name="new", email="new@x.de")
        assert [row["name"] for row in api.get(first["next"]).json()["results"]] == ["0"]

    def test_fifty_rows_unless_asked_otherwise(self, api: APIClient, store: Store) -> None:
        for number in range(51):
            make_customer(store, email=f"{number}@x.de")
        assert len(api.get(CUSTOMERS).json()["results"]) == 50
        assert len(api.get(CUSTOMERS, {"page_size": 200}).json()["results"]) == 51

    @pytest.mark.parametrize("size", ["0", "201", "-1", "ten", "1.5", "²", "9" * 5000])
    def test_a_size_out_of_range_is_refused(self, api: APIClient, size: str) -> None:
        sentence = "Enter a whole number from 1 to 200."
        assert refusal(api.get(CUSTOMERS, {"page_size": size})) == ("page_size", "invalid", sentence)

    @pytest.mark.parametrize(
        "cursor",
        ["nonsense", "ü", "cD1ub25zZW5zZQ==", "bz05OTk5OTk5OTk5", "cj14", "cD0lMDA="],  # p=nonsense, o=9999999999, r=x
    )
    @pytest.mark.parametrize("kind", ["customers", "occurrences"])
    def test_a_cursor_that_is_none_is_refused(self, api: APIClient, kind: str, cursor: str) -> None:
        response = api.get(f"/api/v1/{kind}/", {"cursor": cursor})
        if response.status_code == 200:  # an offset is cut off at 1000, not refused
            assert cursor == "bz05OTk5OTk5OTk5"
        else:
            sentence = "This is no cursor of this list: follow its next and previous."
            assert refusal(response) == ("cursor", "invalid", sentence)

    def test_a_cursor_beyond_every_row_is_an_empty_page(self, api: APIClient) -> None:
        beyond = "cD0tOTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk="  # p=-9999999999999999999999999
        assert api.get("/api/v1/occurrences/", {"cursor": beyond}).json()["results"] == []


class TestStrictFilterBackend:
    def test_an_unknown_parameter_is_refused_with_the_known_ones(self, api: APIClient) -> None:
        assert refusal(api.get("/api/v1/coupons/", {"colour": "red"})) == (
            "colour",
            "unknown_parameter",
            "There is no such parameter. The known ones are: code, cursor, customer, offer, page_size, status.",
        )

    def test_a_single_row_takes_none(self, api: APIClient, store: Store) -> None:
        response = api.get(f"{CUSTOMERS}{make_customer(store).pk}/", {"email": "other@x.de"})
        sentence = "There is no such parameter. This address takes none."
        assert refusal(response) == ("email", "unknown_parameter", sentence)

    def test_an_empty_one_is_refused(self, api: APIClient) -> None:
        sentence = "This parameter is empty. Leave it out, or give it a value."
        assert refusal(api.get(CUSTOMERS, {"email": ""})) == ("email", "empty", sentence)

    def test_one_that_is_given_twice_is_refused(self, api: APIClient) -> None:
        response = api.get("/api/v1/coupons/?status=issued&status=expired")
        assert refusal(response) == ("status", "given_twice", "Give this parameter only once.")


class TestSchema:
    def test_it_is_valid_and_without_a_warning(self) -> None:
        call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())

    def test_it_is_open_and_tells_of_the_key_and_the_problems(self) -> None:
        response = Client().get("/api/v1/schema/", HTTP_ACCEPT="application/json")
        assert response.status_code == 200
        schema = json.loads(response.content)
        assert schema["openapi"] == "3.1.0"
        assert schema["components"]["securitySchemes"]["ApiKey"]["in"] == "header"
        create = schema["paths"]["/api/v1/wallet-transactions/"]["post"]
        assert set(create["responses"]) == {"200", "201", "400", "401", "409"}
        assert list(create["responses"]["409"]["content"]) == ["application/problem+json"]
        assert create["tags"] == ["wallet-transactions"]

    def test_no_secret_or_inner_column_is_in_it(self) -> None:
        text = Client().get("/api/v1/schema/").content.decode()
        for inner in ("fingerprint", "leased_until", "claim", "dedup_key", "suspect", "deaths", "encrypted", "unbuilt"):
            assert not re.search(rf"\b{inner}", text), inner

    def test_every_operation_asks_for_the_key(self) -> None:
        schema = json.loads(Client().get("/api/v1/schema/", HTTP_ACCEPT="application/json").content)
        for operations in schema["paths"].values():
            for operation in operations.values():
                assert operation["security"] == [{"ApiKey": []}]


class TestDocs:
    def test_the_page_is_open_and_holds_nothing_that_its_policy_refuses(self) -> None:
        response = Client().get("/api/v1/docs/")
        page = response.content.decode()
        assert response.status_code == 200
        policy = response["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
        assert re.findall(r"<style|\bstyle=|\bon\w+=", page) == []
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert sources
        assert all(source.startswith("/") and not source.startswith("//") for source in sources)

    def test_its_script_and_its_files_are_served(self) -> None:
        page = Client().get("/api/v1/docs/").content.decode()
        for source in re.findall(r'(?:src|href)="([^"]*)"', page):
            assert Client().get(source.replace("&amp;", "&")).status_code == 200, source
