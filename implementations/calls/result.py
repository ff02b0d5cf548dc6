"""What `dn2dem` and `demmap` return with `full=True`."""

from typing import Any, NamedTuple


class Result(NamedTuple):
    """What `full=True` returns: the five outputs, and how each pixel ended.

    Parameters
    ----------
    dem, edem, elogt, chisq, dn_reg
        The outputs without it.
    status
        A `Status` each (...): 0 inverted, 1 negative bins are left after max_iter solves, 2 invalid.
    iterations
        Solves that the positivity loop took (...), or problems that another method linearised; 0 where invalid.
    target
        Chi-squared per channel aimed at in the last of them (...), reg_tweak·rgt_fact^(iterations - 1), or reg_tweak
        by another method, which never raises it; 0 where invalid, NaN from a solver that doesn't say its iterations.
        Far above reg_tweak the counts of the DEM need not be near the observed ones.
    channels
        Which channels the pixel was inverted with (..., F), none where invalid.
    """

    dem: Any
    edem: Any
    elogt: Any
    chisq: Any
    dn_reg: Any
    status: Any
    iterations: Any
    target: Any
    channels: Any
