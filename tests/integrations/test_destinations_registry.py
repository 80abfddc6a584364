"""How destinations are found: by scanning the package, so that a new one is one file and nothing else."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.core.management import call_command

from customers.models import Store
from integrations import destinations as package
from integrations.destinations import UnknownDestination, choices, destination, destinations
from integrations.destinations.base import Destination, Message, Selector
from integrations.models import Integration
from tests.factories import make_integration

TRIAL = '''
    """A tool of a test."""

    from collections.abc import Iterator

    from django import forms

    from integrations.destinations.base import Destination, Message, Selector, json_body
    from integrations.http import Request


    class Base(Destination):
        """Not whole: it has no calls."""


    class Trial(Base):
        key = "trial"
        label = "a trial tool"
        selectors = (Selector.EMAIL,)
        secret_fields = frozenset({"token"})

        class Settings(forms.Form):
            token = forms.CharField()

        def calls(self, message: Message) -> Iterator[Request]:
            yield Request(url="https://trial.example/", headers={}, body=json_body(message.identifier))
'''


@pytest.fixture
def add_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Puts one more file into the package of destinations, for one test."""
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    before = set(sys.modules)

    def add(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(dedent(source))
        destinations.cache_clear()

    yield add
    destinations.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith(f"{package.__name__}."):
            del sys.modules[name]
            delattr(package, name.rpartition(".")[2])


class TestFound:
    def test_every_file_of_the_package_is(self) -> None:
        files = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - {"__init__", "base"}
        modules = {kind.__module__.rpartition(".")[2] for kind in destinations().values()}
        assert modules == files

    def test_by_key_in_the_order_of_their_labels(self) -> None:
        found = destinations()
        assert all(kind.key == key for key, kind in found.items())
        labels = [kind.label.lower() for kind in found.values()]
        assert labels == sorted(labels)

    def test_the_registry_cannot_be_written_to(self) -> None:
        with pytest.raises(TypeError):
            destinations()["mine"] = Destination  # type: ignore[index]

    def test_an_unknown_one_is_told_in_a_sentence(self) -> None:
        with pytest.raises(UnknownDestination) as raised:
            destination("telepathy")
        assert str(raised.value) == "There is no destination “telepathy” in this version."
        assert isinstance(raised.value, LookupError)


class TestOneFile:
    def test_is_a_new_destination(self, add_file: Callable[[str, str], None]) -> None:
        assert "trial" not in destinations()
        add_file("trial", TRIAL)
        kind = destination("trial")
        assert (kind.label, kind.selectors) == ("a trial tool", (Selector.EMAIL,))
        assert next(iter(destinations())) == "trial", "a comes first, in small letters too"
        assert ("trial", "a trial tool") in choices()

    @pytest.mark.django_db
    def test_that_a_store_can_use_at_once(self, add_file: Callable[[str, str], None], store: Store) -> None:
        add_file("trial", TRIAL)
        integration = make_integration(store, destination="trial", values={"token": "hunter2"})
        integration.full_clean()
        assert integration.selector() is Selector.EMAIL
        assert "hunter2" not in str(Integration.objects.values())
        message: Any = Message(
            **dict.fromkeys(("id", "event_id", "event_key", "event_name", "occurred_at")),  # type: ignore[arg-type]
            payload={"user_email": "ada@example.com"},
            selector=integration.selector(),
        )
        (request,) = integration.adapter().calls(message)
        assert request.body == b'"ada@example.com"'

    @pytest.mark.django_db
    def test_that_costs_no_migration(self, add_file: Callable[[str, str], None]) -> None:
        add_file("trial", TRIAL)
        call_command("makemigrations", "integrations", check=True, dry_run=True, verbosity=0)

    def test_an_import_from_another_file_declares_nothing(self, add_file: Callable[[str, str], None]) -> None:
        before = list(destinations())
        add_file("borrower", "from integrations.destinations.webhook import Webhook\n")
        assert list(destinations()) == before

    def test_two_with_one_key_are_a_mistake_that_is_told(self, add_file: Callable[[str, str], None]) -> None:
        add_file("trial", TRIAL.replace('"trial"', '"webhook"'))
        with pytest.raises(TypeError, match=r"Trial.* and .*Webhook.* have the same key 'webhook'\."):
            destinations()


class TestChoices:
    def test_are_read_anew_so_that_what_is_offered_may_change(self, settings: Any) -> None:
        settings.SANDBOX = False
        assert "sandbox" not in dict(choices())
        settings.SANDBOX = True
        assert "sandbox" in dict(choices())
        assert dict(Integration._meta.get_field("destination").flatchoices)["sandbox"] == "Sandbox"
