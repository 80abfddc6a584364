"""The frame of every screen: the store on top, the bar, and a strict Content-Security-Policy that nothing breaks."""

from django.contrib.auth.models import User

from customers.models import Role, Store, StoreMembership
from tests.browser.conftest import Browse
from tests.browser.visitor import grave_faults


class TestBar:
    def test_it_leads_everywhere(self, owner: User, browse: Browse) -> None:
        visitor = browse(owner)
        visitor.open("/admin/")
        bar = visitor.page.get_by_role("navigation", name="Main")
        for label in bar.get_by_role("link").all_inner_texts():
            visitor.click(label, inside=bar)
            assert bar.get_by_role("link", name=label).get_attribute("aria-current") == "page"
        assert visitor.steps == 12
        assert visitor.complaints == []


class TestSwitcher:
    def test_another_store_shows(self, owner: User, store: Store, other_store: Store, browse: Browse) -> None:
        StoreMembership.objects.create(store=other_store, user=owner, role=Role.VIEWER)
        visitor = browse(owner)
        visitor.open("/admin/")
        visitor.choose("Store", "Tea House")
        visitor.click("Switch store")
        assert visitor.page.get_by_role("link", name="Tea House").is_visible()


class TestSignIn:
    def test_the_page_has_no_grave_faults(self, browse: Browse) -> None:
        visitor = browse()
        visitor.open("/admin/")
        assert grave_faults(visitor.page) == []
