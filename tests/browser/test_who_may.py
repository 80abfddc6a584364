"""Another store's rows, asked for by somebody with a role in a store of her own: she meets her own store, or nothing."""

import pytest
from django.contrib.auth.models import User

from customers.models import Role, Store
from tests.browser.conftest import Browse
from tests.browser.demo import Demo
from tests.browser.test_pictures import SCREENS
from tests.factories import make_member

# Those about one row of the demo's store.
ADDRESSES = [(name, address) for name, address in SCREENS if "{demo." in address]
SECRETS = ("Priya", "Shop app", "Klaviyo main account", "Till", "nector_")


@pytest.fixture
def neighbour(other_store: Store) -> User:
    return make_member(other_store, Role.EDITOR)


class TestAnotherStore:
    def test_an_editor_of_one_reaches_nothing_of_another(self, demo: Demo, neighbour: User, browse: Browse) -> None:
        visitor = browse(neighbour, javascript=False)
        seen = {}
        for name, address in ADDRESSES:
            visitor.page.goto(visitor.address + address.format(demo=demo))
            text = visitor.page.locator("body").inner_text()
            if found := [word for word in (str(demo.store), *SECRETS) if word in text]:
                seen[name] = found
        assert len(ADDRESSES) > 20
        assert seen == {}

    def test_nor_does_any_list_show_a_row_of_it(self, demo: Demo, neighbour: User, browse: Browse) -> None:
        visitor = browse(neighbour, javascript=False)
        visitor.open("/admin/")
        for label in visitor.page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts():
            visitor.click(label)
            text = visitor.page.locator("body").inner_text()
            assert [word for word in (str(demo.store), *SECRETS) if word in text] == [], label
