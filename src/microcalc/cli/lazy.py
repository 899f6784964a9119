"""Commands that are imported when they are called, so that each starts without the packages of the others."""

import importlib
from collections.abc import Mapping
from typing import ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["LazyGroup"]


class LazyGroup(TyperGroup):
    """A group whose commands live in modules of their own: ``places`` has the module and the name in it for each."""

    places: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Names of the commands, in the order of the help."""
        return list(self.places)

    def get_command(  # type: ignore[override]
        self,
        ctx: typer.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> TyperCommand | TyperGroup | None:
        """Import a command; a Typer application becomes a group."""
        if cmd_name not in self.places:
            return None
        module, name = self.places[cmd_name]
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            found = alone
        command = typer.main.get_command(found)
        if not isinstance(command, TyperCommand | TyperGroup):
            raise TypeError(f"{module}.{name} must be a Typer application or a function, not {type(found).__name__}")
        command.name = cmd_name
        return command
