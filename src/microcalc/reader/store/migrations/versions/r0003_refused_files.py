"""What of a watched file is in no exam, and why, so that the page can tell it."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "r0003"
down_revision: str | None = "r0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("watched_files", sa.Column("refused", sa.JSON(), nullable=True))
