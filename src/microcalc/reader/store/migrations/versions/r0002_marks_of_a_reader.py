"""One index for the annotations of an image by reader instead of two; the worklist of a blind reader needs it."""

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "r0002"
down_revision: str | None = "r0001"

TABLE = "annotations"


def upgrade() -> None:
    """Replace the indices."""
    op.create_index("ix_annotations_image_reader", TABLE, ["image_id", "account_id"])
    for column in ("image_id", "account_id"):
        op.drop_index(f"ix_{TABLE}_{column}", TABLE)
