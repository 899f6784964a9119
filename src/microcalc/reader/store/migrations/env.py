"""What Alembic runs to migrate: on the connection of `microcalc.reader.store.database`, inside its transaction."""

from alembic import context

from microcalc.reader.store.models import Base

__all__: list[str] = []

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
