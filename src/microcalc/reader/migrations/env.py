"""What Alembic runs to migrate: on the connection that `microcalc.reader.store` gives it, inside its transaction."""

from alembic import context

from microcalc.reader.models import Base

__all__: list[str] = []

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
