"""Tables in Markdown, and what stands between a page's markers."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int | None = None) -> str:
    """A table whose first `left` columns are aligned left and the others, numbers, right; None: all left."""
    words = len(head) if left is None else left
    rules = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows))


def rewritten(page: str, name: str, text: str) -> str:
    """The page with `text` between the markers of that name. ValueError when they aren't there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if not page.count(begin) == page.count(end) == 1:
        raise ValueError(f"the page has no place for {name}: expected {begin} and {end}, once each")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}\n{end}{after}"
