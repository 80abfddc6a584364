"""Which fact goes where: the catalogue, restrictions, the outbox, and the sending."""
