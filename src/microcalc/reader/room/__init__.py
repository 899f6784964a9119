"""What happens in the reading room: people, squares and their agreement, the desk where squares are read, the post."""

__all__: list[str] = []
