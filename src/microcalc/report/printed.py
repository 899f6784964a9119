"""A table as people read it: cells of text, a heading, footnotes; as plain text, Markdown, LaTeX or HTML.

What stands in the cells is decided in `report.tables`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["NOT_AVAILABLE", "Footnotes", "PrintedTable"]

NOT_AVAILABLE = "n/a"
"""Stands for every undefined number; the reason is in a footnote."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": r"\textminus{}",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "χ²": r"$\chi^2$",
}


@dataclass(frozen=True)
class PrintedTable:
    """Cells of text with a heading and footnotes.

    Attributes:
        title: one sentence.
        columns: head of each column.
        rows: as many cells as columns in each.
        notes: sentences below the table: who was counted, how, and why a cell is n/a.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Aligned columns for a terminal."""
        widths = [max(len(row[j]) for row in (self.columns, *self.rows)) for j in range(len(self.columns))]
        rule = "  ".join("─" * width for width in widths)
        lines = [self.title, "", _aligned(self.columns, widths), rule, *(_aligned(row, widths) for row in self.rows)]
        return "\n".join([*lines, rule, *self.notes])

    def to_markdown(self) -> str:
        """A pipe table under its title."""
        head = [_piped(self.columns), "|" + "---|" * len(self.columns)]
        lines = [f"**{self.title}**", "", *head, *(_piped(row) for row in self.rows)]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def to_tex(self) -> str:
        """A LaTeX table; needs only ``booktabs`` and ``textcomp``."""
        body = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in (self.columns, *self.rows)]
        lines = [
            r"\begin{table}",
            rf"\caption{{{_tex(self.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {_tex(note)}" for note in self.notes),
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """A figure element with caption, table and notes; everything escaped."""
        head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in self.columns)
        rows = "\n".join(f"<tr>{_html_cells(row)}</tr>" for row in self.rows)
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        return (
            f'<figure class="table">\n<figcaption>{escape(self.title)}</figcaption>\n<div class="scroll"><table>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>\n{notes}\n</figure>\n"
        )


class Footnotes:
    """Reasons of undefined cells, each numbered once.

    Args:
        spoken: puts the names of models in a reason as the table has them.
    """

    def __init__(self, spoken: Callable[[str], str] = str) -> None:
        self._spoken = spoken
        self._reasons: dict[str, int] = {}

    def of(self, cell: str, reason: str) -> str:
        """The cell, with the number of its reason if something in it is undefined."""
        if not reason or NOT_AVAILABLE not in cell:
            return cell
        number = self._reasons.setdefault(self._spoken(reason), len(self._reasons) + 1)
        return f"{cell} [{number}]"

    def sentences(self) -> tuple[str, ...]:
        """The reasons, to stand below the table."""
        return tuple(f"[{number}] {NOT_AVAILABLE}: {reason}." for reason, number in self._reasons.items())


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [
        cell.ljust(width) if j == 0 else cell.rjust(width)
        for j, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *others]).rstrip()


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text.replace("χ²", "\0")).replace("\0", _LATEX["χ²"])


def _html_cells(row: Sequence[str]) -> str:
    first, *others = row
    return f'<th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in others)
