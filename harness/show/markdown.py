"""Tables in Markdown, and what stands between a page's markers."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int | None = None) -> str:
    """A table whose first `left` columns are aligned left and the others, numbers, right; None: all left."""
    words = len(head) if left is None else left
    rules = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in (head, rules, *rows))


def _cell(text: str) -> str:
    """What is in a cell stays in it."""
    return " ".join(text.split("\n")).replace("|", r"\|")


MOST_OF_A_REASON = 300


def as_code(text: str) -> str:
    """What a program said, as it said it: no markup, nobody's name, and no more of it than a cell has room for."""
    short = text if len(text) <= MOST_OF_A_REASON else text[: MOST_OF_A_REASON - 2] + " …"
    return "`" + short.replace("`", "'") + "`" if short else ""


MOST_CHARACTERS = 65_536
"""What a comment on a pull request may hold."""


def cut(parts: Sequence[str], most: int = MOST_CHARACTERS) -> str:
    """A page of a head, a table and a foot; the table without its last rows where a comment has no room for them."""
    head, table, foot = parts
    left = most - len(head) - len(foot) - 100
    lines = table.split("\n")
    while lines and sum(map(len, lines)) + len(lines) > left:
        del lines[-max(len(lines) // 20, 1) :]
    missing = table.count("\n") + 1 - len(lines)
    note = f"{missing} further rows have no room here: --json has them." if missing else ""
    return "\n\n".join(filter(None, (head, "\n".join(lines), note, foot)))[:most]


def rewritten(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of that name. ValueError when they aren't there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if not page.count(begin) == page.count(end) == 1:
        raise ValueError(f"the page has no place for {name}: expected {begin} and {end}, once each")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
