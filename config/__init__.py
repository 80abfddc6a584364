"""The project: settings, addresses, the admin site and the API's frame."""
