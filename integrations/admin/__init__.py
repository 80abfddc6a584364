"""The screens of the tools that a store has connected."""

from integrations.admin.integration import IntegrationAdmin

__all__ = ["IntegrationAdmin"]
