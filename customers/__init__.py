"""The facts: stores, customers, wallets, offers and coupons. Knows nothing of events."""
