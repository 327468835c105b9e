"""Alembic's entry: run the migrations on the connection that database.py hands over."""

from alembic import context

from scheduler.ledger.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
