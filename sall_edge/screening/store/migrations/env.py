"""What alembic runs: the steps that are missing, on the connection (and in the transaction) that it was given."""

from alembic import context

from sall_edge.screening.store.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
context.run_migrations()
