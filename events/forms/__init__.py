"""What store admins enter about events."""
