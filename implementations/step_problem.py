"""What one step of the algorithm is given and returns, where it is timed alone: see `implementations.steps`."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.contract import Array, Problem


class StepSolution:
    """A step's outputs by name, each with the pixel axis first."""

    def __init__(self, **outputs: NDArray[Any]):
        vars(self).update(outputs)


@dataclass(frozen=True, eq=False)
class StepProblem(Problem):
    """Valid pixels of a problem, and what the steps before have made of them, as published; arrays are read-only.

    Parameters
    ----------
    step
        Which one is to be done.
    inputs
        By name, each with the pixel axis first.
    outputs
        Names of what is to be returned.
    scaled
        The input that variants of the problem multiply by a factor of each pixel.
    layout
        The same inputs as a form wants them to lie in memory.
    """

    step: str = ""
    inputs: dict[str, Array] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    scaled: str = ""
    layout: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs = {name: array.view() for name, array in self.inputs.items()}
        for array in inputs.values():
            array.flags.writeable = False  # from a mapped file or not: compiled code takes the two for two types
        object.__setattr__(self, "inputs", inputs)

    def take(self, pixels: NDArray[np.intp] | slice) -> "StepProblem":
        """The same step for some of its pixels."""
        inputs = {name: array[pixels] for name, array in self.inputs.items()}
        return replace(self, dn=self.dn[pixels], edn=self.edn[pixels], inputs=inputs)

    def varied(self, order: NDArray[np.intp], factor: Array) -> "StepProblem":
        """The pixels in another order, one input of each multiplied by its factor (P, 1)."""
        other = self.take(order)
        scaled = other.inputs[self.scaled]
        factors = factor.reshape(-1, *(1,) * (scaled.ndim - 1))
        return replace(other, inputs=other.inputs | {self.scaled: scaled * factors})

    def check(self, given: Any) -> None:
        """ValueError unless that is a solution of this problem, in plain arrays of numbers for all its pixels."""
        if type(given) is not StepSolution or tuple(vars(given)) != self.outputs:
            raise ValueError(f"{self.step}: expected a StepSolution of {', '.join(self.outputs)}")
        for name, array in vars(given).items():
            if type(array) is not np.ndarray or array.shape[:1] != self.dn.shape[:1] or array.dtype.kind not in "fib":
                raise ValueError(f"{self.step}: {name} is no plain array of a number or more for each pixel")
