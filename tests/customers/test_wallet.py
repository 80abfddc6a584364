"""Coins: what an entry does to the balance, what is refused, and what is counted once."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from customers.facts import Fact
from customers.models import Customer, Store, Wallet, WalletTransaction
from customers.models.coins import MOST_COINS
from customers.refusals import Conflict, Refused
from tests import factories


def reward(customer: Customer, amount: int, **more: Any) -> WalletTransaction:
    entry, _ = customer.wallet.record(**{"type": "reward", "operation": "cr", "amount": amount, **more})
    return entry


def redeem(customer: Customer, amount: int, **more: Any) -> WalletTransaction:
    return reward(customer, amount, **{"type": "redeem", "operation": "dr", **more})


def balance(customer: Customer) -> int:
    return Wallet.objects.get(customer=customer).balance


def refusal_of(customer: Customer, **more: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refusal:
        reward(customer, **{"amount": 10, **more})
    assert not WalletTransaction.objects.exists()
    assert balance(customer) == 0
    return refusal.value.message_dict


class TestRecord:
    def test_a_success_takes_effect_at_once(self, customer: Customer) -> None:
        entry = reward(customer, 100, title="Welcome", source="signup")
        stored = WalletTransaction.objects.get()
        assert stored == entry
        assert (stored.status, stored.balance_after, stored.title, stored.source) == (
            "success",
            100,
            "Welcome",
            "signup",
        )
        assert stored.effective_at is not None
        assert balance(customer) == customer.wallet.balance == 100

    def test_debits_come_off(self, customer: Customer) -> None:
        reward(customer, 100)
        assert redeem(customer, 30).balance_after == 70
        assert redeem(customer, 70).balance_after == 0
        assert balance(customer) == 0

    def test_a_pending_entry_does_not_count(self, customer: Customer) -> None:
        entry = reward(customer, 100, status="pending")
        assert (entry.status, entry.balance_after, entry.effective_at) == ("pending", None, None)
        assert balance(customer) == 0

    def test_says_whether_it_is_new(self, customer: Customer) -> None:
        first, new = customer.wallet.record(type="reward", operation="cr", amount=1, reference="order-1")
        assert new
        assert customer.wallet.record(type="reward", operation="cr", amount=1, reference="order-1") == (first, False)

    def test_it_is_announced_once_when_it_is_counted(self, customer: Customer, heard: list[list[Fact]]) -> None:
        entry = reward(customer, 1, reference="order-1")
        reward(customer, 1, reference="order-1")
        assert [[(fact.instance, fact.created, fact.silent) for fact in one] for one in heard] == [
            [(entry, True, False)]
        ]

    def test_a_silent_one_says_so(self, customer: Customer, heard: list[list[Fact]]) -> None:
        reward(customer, 1, silent=True)
        assert heard[0][0].silent

    def test_works_from_a_stale_wallet(self, customer: Customer) -> None:
        stale = Wallet.objects.get(customer=customer)
        reward(customer, 100)
        entry, _ = stale.record(type="reward", operation="cr", amount=1)
        assert entry.balance_after == stale.balance == balance(customer) == 101


class TestRefusals:
    @pytest.mark.parametrize("amount", [0, -1, -(10**30)])
    def test_coins_are_one_or_more(self, customer: Customer, amount: int) -> None:
        assert refusal_of(customer, amount=amount) == {"amount": ["Coins must be 1 or more."]}

    @pytest.mark.parametrize("amount", [MOST_COINS + 1, 2**63, 10**30])
    def test_and_not_beyond_measure(self, customer: Customer, amount: int) -> None:
        assert refusal_of(customer, amount=amount) == {"amount": ["That is more coins than a wallet can hold."]}

    def test_nor_in_sum(self, customer: Customer) -> None:
        reward(customer, MOST_COINS)
        with pytest.raises(Refused, match=r"^That is more coins than a wallet can hold\.$"):
            reward(customer, 1)
        assert balance(customer) == MOST_COINS

    @pytest.mark.parametrize(
        ("coins", "sentence"),
        [
            (0, "Only 0 coins are in the wallet."),
            (1, "Only 1 coin is in the wallet."),
            (40, "Only 40 coins are in the wallet."),
        ],
    )
    def test_a_debit_needs_the_coins(self, store: Store, coins: int, sentence: str) -> None:
        customer = factories.make_customer(store, coins=coins)
        with pytest.raises(Refused) as refusal:
            redeem(customer, 41)
        assert refusal.value.message_dict == {"amount": [sentence]}
        assert str(refusal.value) == sentence
        assert balance(customer) == coins
        assert not WalletTransaction.objects.filter(type="redeem").exists()

    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({"type": "reward", "operation": "dr"}, "A transaction of the type reward is always credited (cr)."),
            ({"type": "redeem", "operation": "cr"}, "A transaction of the type redeem is always debited (dr)."),
            ({"type": "expire", "operation": "cr"}, "A transaction of the type expire is always debited (dr)."),
        ],
    )
    def test_the_operation_fits_the_type(self, customer: Customer, facts: dict[str, str], sentence: str) -> None:
        assert refusal_of(customer, **facts) == {"operation": [sentence]}

    @pytest.mark.parametrize(
        ("facts", "field", "sentence"),
        [
            ({"type": "gift"}, "type", "Value 'gift' is not a valid choice."),
            ({"operation": "+"}, "operation", "Value '+' is not a valid choice."),
            ({"source": "moon"}, "source", "Value 'moon' is not a valid choice."),
            ({"status": "done"}, "status", "Value 'done' is not a valid choice."),
            ({"status": "cancelled"}, "status", "A new transaction is either success or pending."),
            ({"amount": "ten"}, "amount", "“ten” value must be an integer."),
            ({"title": "x" * 121}, "title", "Ensure this value has at most 120 characters (it has 121)."),
            ({"reference": "x" * 121}, "reference", "Ensure this value has at most 120 characters (it has 121)."),
        ],
    )
    def test_each_has_its_sentence(self, customer: Customer, facts: dict[str, Any], field: str, sentence: str) -> None:
        assert refusal_of(customer, **facts)[field] == [sentence]

    def test_a_customer_who_was_deleted(self, customer: Customer) -> None:
        wallet = customer.wallet
        Customer.objects.get(pk=customer.pk).delete()
        with pytest.raises(Refused) as refusal:
            wallet.record(type="reward", operation="cr", amount=1)
        assert refusal.value.message_dict == {"customer": ["This customer was deleted."]}

    def test_the_database_itself_keeps_the_balance_above_zero(self, customer: Customer) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Wallet.objects.filter(customer=customer).update(balance=-1)


class TestReference:
    def test_each_is_counted_once(self, customer: Customer) -> None:
        entries = {reward(customer, 50, reference=typed).pk for typed in ("order-1", " order-1", "order-1 ")}
        assert len(entries) == 1
        assert balance(customer) == 50

    def test_none_and_empty_are_no_reference(self, customer: Customer) -> None:
        for reference in (None, "", "  "):
            assert reward(customer, 1, reference=reference).reference is None
        assert balance(customer) == 3

    @pytest.mark.parametrize(
        "other",
        [
            {"amount": 51},
            {"type": "adjust"},
            {"source": "order"},
            {"status": "pending"},
            {"title": "Again"},
            {"description": "Again"},
            {"expires_at": datetime(2031, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_said_differently_it_conflicts(self, customer: Customer, other: dict[str, Any]) -> None:
        reward(customer, 50, reference="order-1")
        with pytest.raises(Conflict) as refusal:
            reward(customer, **{"amount": 50, "reference": "order-1", **other})
        assert refusal.value.message_dict == {
            "reference": ["The reference order-1 was already used for another transaction of this store."]
        }
        assert balance(customer) == 50

    def test_another_customer_conflicts(self, store: Store, customer: Customer) -> None:
        reward(customer, 50, reference="order-1")
        other = factories.make_customer(store)
        with pytest.raises(Conflict):
            reward(other, 50, reference="order-1")
        assert balance(other) == 0

    def test_another_store_has_its_own(self, customer: Customer, other_store: Store) -> None:
        reward(customer, 50, reference="order-1")
        other = factories.make_customer(other_store)
        reward(other, 50, reference="order-1")
        assert balance(other) == 50

    def test_a_repeat_returns_the_entry_as_it_became(self, customer: Customer) -> None:
        reward(customer, 50, reference="order-1", status="pending").settle()
        assert reward(customer, 50, reference="order-1", status="pending").status == "success"
        assert balance(customer) == 50

    def test_a_repeat_needs_no_coins(self, customer: Customer) -> None:
        reward(customer, 50)
        first = redeem(customer, 50, reference="order-1")
        assert redeem(customer, 50, reference="order-1") == first

    def test_a_refused_one_stays_free(self, customer: Customer) -> None:
        with pytest.raises(Refused):
            redeem(customer, 50, reference="order-1")
        reward(customer, 50)
        redeem(customer, 50, reference="order-1")
        assert balance(customer) == 0


class TestSettle:
    def test_it_takes_effect_now(self, customer: Customer, heard: list[list[Fact]]) -> None:
        entry = reward(customer, 50, status="pending")
        reward(customer, 10)
        heard.clear()
        entry.settle()
        entry.refresh_from_db()
        assert (entry.status, entry.balance_after) == ("success", 60)
        assert balance(customer) == 60
        assert [[dict(fact.previous) for fact in one] for one in heard] == [
            [{"status": "pending", "balance_after": None, "effective_at": None}]
        ]

    def test_only_once(self, customer: Customer, heard: list[list[Fact]]) -> None:
        entry = reward(customer, 50, status="pending")
        stale = WalletTransaction.objects.get()
        entry.settle()
        heard.clear()
        for again in (entry, stale):
            for end in (again.settle, again.cancel):
                with pytest.raises(Conflict) as refusal:
                    end()
                assert refusal.value.message_dict == {"status": ["This transaction is already success."]}
        assert balance(customer) == 50
        assert heard == []

    def test_a_debit_without_the_coins_stays_pending(self, customer: Customer) -> None:
        entry = redeem(customer, 50, status="pending")
        with pytest.raises(Refused, match=r"^Only 0 coins are in the wallet\.$"):
            entry.settle()
        entry.refresh_from_db()
        assert (entry.status, entry.balance_after) == ("pending", None)
        reward(customer, 50)
        entry.settle()
        assert balance(customer) == 0


class TestCancel:
    def test_it_never_takes_effect(self, customer: Customer, heard: list[list[Fact]]) -> None:
        entry = reward(customer, 50, status="pending")
        heard.clear()
        entry.cancel()
        entry.refresh_from_db()
        assert (entry.status, entry.balance_after, entry.effective_at) == ("cancelled", None, None)
        assert balance(customer) == 0
        assert [[dict(fact.previous) for fact in one] for one in heard] == [[{"status": "pending"}]]
        with pytest.raises(Conflict, match=r"^This transaction is already cancelled\.$"):
            entry.settle()


class TestEntry:
    @pytest.mark.parametrize(
        "change",
        [
            {"amount": 1},
            {"type": "adjust"},
            {"source": "order"},
            {"reference": "another"},
            {"title": "Another"},
            {"fingerprint": "0"},
            {"status": "pending", "balance_after": None},
            {"balance_after": 1},
        ],
    )
    def test_is_never_altered(self, customer: Customer, change: dict[str, Any]) -> None:
        entry = reward(customer, 50)
        for name, value in change.items():
            setattr(entry, name, value)
        with pytest.raises(TypeError, match=r"^A ledger entry is never altered once it is written;"):
            entry.save()
        stored = WalletTransaction.objects.get()
        assert (stored.amount, stored.status, stored.balance_after) == (50, "success", 50)

    def test_a_stale_one_does_not_undo_what_was_settled(self, customer: Customer) -> None:
        entry = reward(customer, 50, status="pending")
        stale = WalletTransaction.objects.get()
        entry.settle()
        with pytest.raises(TypeError):
            stale.save()
        assert WalletTransaction.objects.get().status == "success"

    def test_the_database_itself_knows_no_success_without_balance(self, customer: Customer) -> None:
        entry = reward(customer, 50)
        with pytest.raises(IntegrityError), transaction.atomic():
            WalletTransaction._base_manager.filter(pk=entry.pk).update(balance_after=None)

    def test_reads_as_what_it_does(self, customer: Customer) -> None:
        assert str(reward(customer, 50)) == "+50 (reward)"
        assert str(redeem(customer, 20)) == "-20 (redeem)"
