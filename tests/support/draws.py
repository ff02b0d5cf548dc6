"""Awkward problems for property tests: hypothesis draws a few numbers, a seeded generator the arrays."""

from hypothesis import strategies as st

from harness.workloads.awkward import Draw
from implementations.contract import Options


@st.composite
def options(draw, channels: int) -> Options:
    """Any options, a mask of channels included."""
    mask = st.lists(st.integers(0, 1), min_size=channels, max_size=channels).map(tuple)
    return Options(
        reg_tweak=draw(st.floats(0.1, 10)),
        max_iter=draw(st.integers(1, 50)),
        rgt_fact=draw(st.floats(1.01, 3)),
        nmu=draw(st.integers(2, 60) | st.integers(2, 500)),
        gloci=draw(st.sampled_from([0, 1]) | mask),
        l_emd=draw(st.booleans()),
    )


@st.composite
def draws(draw, most_pixels: int = 6) -> Draw:
    """Any problem; one pixel only where the bins are many, as the oracle's cost is their cube."""
    channels = draw(st.integers(2, 12))
    number = draw(st.integers(3, 40) | st.integers(3, 40) | st.integers(3, 40) | st.sampled_from([64, 100, 200]))
    return Draw(
        seed=draw(st.integers(0, 2**32 - 1)),
        pixels=1 if number > 64 else draw(st.integers(1, most_pixels)),
        channels=channels,
        bins=number,
        response=draw(st.sampled_from(["noise", "noise", "bells", "close"])),
        closeness=draw(st.integers(2, 12)),
        counts=draw(st.floats(-3, 7)),
        noise=draw(st.floats(-3, -0.5)),
        uneven=draw(st.booleans()),
        weights=draw(st.sampled_from(["none", "none", "some", "all"])),
        invalid=draw(st.booleans()),
        options=draw(options(channels)),
    )
