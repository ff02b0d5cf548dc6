"""Image sets from their headers on to where their pixels are read: checked, placed, with what is to be said of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from implementations.aia import formats, frames, grid, images
from implementations.aia.degradation import Degradation
from implementations.aia.frames import REFERENCE, Set
from implementations.aia.maps import Description, Inversion


@dataclass(frozen=True, eq=False)
class Job:
    """Sets that can be inverted together."""

    sets: Sequence[Set]
    openings: Sequence[Callable[[], images.Reading]]
    """What opens each of them."""
    remarks: tuple[str, ...]
    """What a user should know of them before."""
    history: tuple[str, ...]
    """What the maps' files should say."""

    @classmethod
    def of(cls, sets: Sequence[Set], register: bool, degradation: Path | None) -> "Job":
        """Check the sets. ValueError, naming the file, when they don't fit or their headers lack something."""
        for one in sets:
            for frame in one:
                frame.divisor, frame.exposure  # noqa: B018 -- they raise
                grid.check_placed(frame)
            if not register:
                grid.check(one)
        grid.check_series(sets)
        placings = [grid.placings(one) if register else [None] * len(one) for one in sets]
        table = Degradation(degradation) if degradation else None
        sensitivity = [table.sensitivity(one[REFERENCE].time) if table else None for one in sets]
        remarks = [remark for one in sets for remark in frames.remarks(one)]
        said = _sensitivity(sets, table)
        moved = sum(placing is not None for one in placings for placing in one)
        registered = [f"{moved} images registered to the grid of 171, linear interpolation"] if register else []
        return cls(
            sets,
            [partial(images.Reading, *each) for each in zip(sets, sensitivity, placings, strict=True)],
            tuple(dict.fromkeys([*remarks, *registered, *said])),
            (*said, *registered, *(frame.path.name for one in sets for frame in one)),
        )

    def description(self, inversion: Inversion, history: Sequence[str]) -> Description:
        """What their maps have besides planes."""
        references = [one[REFERENCE] for one in self.sets]
        return Description(
            shape=references[0].shape,
            logt=inversion.logt,
            dlogt=inversion.dlogt,
            response=inversion.response,
            bands=inversion.bands,
            headers=(references[0].header, *(formats.pointed(frame.header) for frame in references[1:])),
            times=tuple(frame.time for frame in references),
            history=tuple(history),
        )

    def afterwards(self, seen: Mapping[int, tuple[int, Any]]) -> Iterator[str]:
        """What their pixels say that a user should know: `Inversion.seen`."""
        for number, (saturated, total) in sorted(seen.items()):
            for remark in images.remarks_of_counts(self.sets[number], saturated, total):
                yield f"{self.sets[number][REFERENCE].time}: {remark}" if len(self.sets) > 1 else remark


def _sensitivity(sets: Sequence[Set], table: Degradation | None) -> list[str]:
    """What is said of the channels' loss of sensitivity, at the first and the last time, and whether it is undone."""
    times = dict.fromkeys((sets[0][REFERENCE].time, sets[-1][REFERENCE].time))
    try:
        said = dict.fromkeys((table or Degradation()).said(time) for time in times)
    except ValueError:  # of a time before launch: made-up images
        return ["sensitivity left: not known at that time; not corrected"]
    return [f"{one}; {'corrected' if table else 'not corrected: --degradation does so'}" for one in said]
