"""What the reading room keeps: the database and its history, uploaded files and decoded images, the log, the outbox."""

__all__: list[str] = []
