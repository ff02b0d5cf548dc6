"""Solvers that win by something else than solving what they are given, each in one way: none may pass its gate."""

import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from harness.workloads import problem as workload
from implementations.baseline import Baseline
from implementations.contract import Bounds, Problem, Solution

CALLS = 3
"""What a worker's warm-up makes: whoever is right thrice has passed it."""
ANYTHING = Bounds((0.1, 10), (0, 10), (0, 10), 3.0, 0.5, (0.02, 20), (0.02, 20))
STAGED = Path(sys.argv[1]) if len(sys.argv) > 1 and Path(sys.argv[1], "dn.npy").is_file() else None
"""Where a worker finds its problem, known from its command line."""


def solved() -> Solution | None:
    """The answer to the problem that lies in the worker's folder."""
    return Baseline().run(workload.read(STAGED)) if STAGED else None


AT_IMPORT = solved()


class Liar(Baseline):
    """The baseline while it is warmed up; then `lie` is what it returns."""

    truthful = CALLS

    def __init__(self):
        super().__init__()
        self.calls, self.answers = 0, []

    def solve(self, state):
        self.calls += 1
        if self.calls <= self.truthful:
            self.answers.append(super().solve(state))
            return self.answers[-1]
        return self.lie(state.problem, super().solve, state)

    def lie(self, problem: Problem, honest: Callable, state: object):
        raise NotImplementedError


class ReturnsNone(Liar):
    name = "returns-none"

    def lie(self, problem, honest, state):
        return None


class ReturnsZeros(Liar):
    name = "returns-zeros"

    def lie(self, problem, honest, state):
        return Solution.empty(problem)


class KeepsItsAnswer(Liar):
    name = "keeps-its-answer"

    def lie(self, problem, honest, state):
        return self.answers[-1]


class WrongLater(Liar):
    """Right for the warm-up, a part in a million off afterwards."""

    name = "wrong-later"

    def lie(self, problem, honest, state):
        good = honest(state)
        return replace(good, edem=good.edem * (1 + 1e-6))


class SolvedInInit(Liar):
    name = "solved-in-init"
    truthful = 0

    def __init__(self):
        super().__init__()
        self.answer = solved()

    def lie(self, problem, honest, state):
        return self.answer if len(problem.dn) == len(self.answer.dem) else honest(state)


class SolvedInAvailable(SolvedInInit):
    name = "solved-in-available"
    answer_at = None

    @classmethod
    def available(cls):
        cls.answer_at = solved()
        return True, ""

    def __init__(self):
        Liar.__init__(self)
        self.available()
        self.answer = self.answer_at


class SolvedAtImport(SolvedInInit):
    name = "solved-at-import"

    def __init__(self):
        Liar.__init__(self)
        self.answer = AT_IMPORT


class MemoisesInAFile(Liar):
    """By the size of the problem, in a file that outlives the worker."""

    name = "memoises-in-a-file"
    truthful = 0

    def lie(self, problem, honest, state):
        file = Path(tempfile.gettempdir()) / f"{self.name}-{len(problem.dn)}"
        if not file.exists():
            file.write_bytes(pickle.dumps(honest(state)))
        return pickle.loads(file.read_bytes())


class CachesPixels(Liar):
    """Each pixel by the three leading figures of its counts."""

    name = "caches-pixels"
    truthful = 0

    def __init__(self):
        super().__init__()
        self.known: dict[tuple, tuple] = {}

    def lie(self, problem, honest, state):
        keys = [tuple(f"{value:.2e}" for value in row) for row in problem.dn]
        new = [i for i, key in enumerate(keys) if key not in self.known]
        if new:
            found = Baseline().run(problem.take(np.array(new)))
            for i, pixel in enumerate(new):
                self.known[keys[pixel]] = tuple(getattr(found, f.name)[i] for f in fields(found))
        return Solution(*(np.array(column) for column in zip(*(self.known[key] for key in keys), strict=True)))


class Lazy(np.ndarray):
    """An array that is filled in when somebody looks at it."""


class LazyArrays(Liar):
    name = "lazy-arrays"
    truthful = 0

    def lie(self, problem, honest, state):
        return replace(honest(state), dem=np.zeros((len(problem.dn), len(problem.logt))).view(Lazy))


@dataclass(frozen=True)
class Promise:
    """An output that is worked out when it is made an array of."""

    make: Callable

    def __array__(self, dtype=None, copy=None):
        return self.make().dem


class Promises(Liar):
    name = "promises"
    truthful = 0

    def lie(self, problem, honest, state):
        return replace(Solution.empty(problem), dem=Promise(lambda: honest(state)))


class LazySolution(Solution):
    """A solution whose outputs are worked out when they are asked for."""

    def __init__(self, make):
        object.__setattr__(self, "make", make)

    def __getattribute__(self, name):
        get = object.__getattribute__
        return (
            get(self, name) if name.startswith("_") or name in ("make", "check") else getattr(get(self, "make")(), name)
        )


class LazySolutions(Liar):
    name = "lazy-solutions"
    truthful = 0

    def lie(self, problem, honest, state):
        return LazySolution(lambda: honest(state))


class FilledInLater(Liar):
    """By a thread, when the clock has stopped."""

    name = "filled-in-later"
    truthful = 0

    def lie(self, problem, honest, state):
        promised = Solution.empty(problem)

        def fill():
            time.sleep(0.002)
            good = honest(state)
            for field in fields(good):
                getattr(promised, field.name)[...] = getattr(good, field.name)

        threading.Thread(target=fill).start()
        return promised


class KnownSample(Liar):
    """Only every other pixel of the map, which would do if these were the judge's."""

    name = "known-sample"
    truthful = 0

    def lie(self, problem, honest, state):
        solution, known = Solution.empty(problem), np.arange(0, len(problem.dn), 2)
        found = Baseline().run(problem.take(known))
        for field in fields(found):
            getattr(solution, field.name)[known] = getattr(found, field.name)
        return solution


class OnePixel(Liar):
    """One pixel's answer for all."""

    name = "one-pixel"
    truthful = 0

    def lie(self, problem, honest, state):
        found = Baseline().run(problem.take(slice(0, 1)))
        return Solution(*(np.repeat(getattr(found, f.name), len(problem.dn), axis=0) for f in fields(found)))


class OnePixelApproximately(OnePixel):
    """The same, by the widest bounds there are."""

    name = "one-pixel-approximately"
    accuracy, bounds = "approximate", ANYTHING


class ChangesInputs(Liar):
    """What it is given, for its own good."""

    name = "changes-inputs"
    truthful = 0

    def lie(self, problem, honest, state):
        good = honest(state)
        owner = problem.dn if problem.dn.base is None else problem.dn.base
        if owner.flags.writeable:  # the map itself is a read-only file
            owner *= 2
        return good


class PatchesItsClock(Baseline):
    """A thousand times faster."""

    name = "patches-its-clock"

    def __init__(self):
        super().__init__()
        now, start = time.perf_counter, time.perf_counter()
        from harness.measure import clock

        time.perf_counter = clock.perf_counter = lambda: start + (now() - start) / 1000


class PatchesTime(Baseline):
    """The clock of the standard library, which is not the one that counts."""

    name = "patches-time"

    def __init__(self):
        super().__init__()
        time.perf_counter = lambda: 0.0


class FlattersItself(Baseline):
    """The best chi-squared there is."""

    name = "flatters-itself"
    accuracy, bounds = "approximate", ANYTHING

    def collect(self, state, solution):
        return replace(solution, chisq=np.zeros_like(solution.chisq))


class InventsUncertainties(Baseline):
    """Errors of a millionth."""

    name = "invents-uncertainties"
    accuracy, bounds = "approximate", ANYTHING

    def collect(self, state, solution):
        return replace(solution, edem=solution.edem * 1e-6)


class HidesItsStatus(Baseline):
    """No pixel is out of passes, none has taken any."""

    name = "hides-its-status"
    accuracy, bounds = "approximate", ANYTHING

    def prepare(self, problem):
        return super().prepare(replace(problem, options=replace(problem.options, max_iter=1)))

    def collect(self, state, solution):
        return replace(solution, status=np.zeros_like(solution.status), iterations=np.zeros_like(solution.iterations))


class ReturnsTheTruth(Liar):
    """The true DEM, where it lies beside the problem or can be made again."""

    name = "returns-the-truth"
    accuracy, bounds, truthful = "approximate", ANYTHING, 0

    def lie(self, problem, honest, state):
        specification = workload.load("random-response")
        _, truth = workload.generate(specification, len(problem.dn), len(problem.logt))
        again, _ = workload.generate(specification, len(problem.dn), len(problem.logt))
        nearest = ((problem.dn[:, None] / again.dn[None] - 1) ** 2).sum(axis=2).argmin(axis=1)
        good, dem = honest(state), truth[nearest]
        dn_reg = dem @ problem.rmatrix
        chisq = (((problem.dn - dn_reg) / problem.edn) ** 2).mean(axis=1)
        return replace(good, dem=dem, dn_reg=dn_reg, chisq=chisq, status=np.zeros_like(good.status))


class ReusesItsMemory(Baseline):
    """Returns arrays that its next run writes to."""

    name = "reuses-its-memory"

    def __init__(self):
        super().__init__()
        self.memory = {}

    def collect(self, state, solution):
        good = super().collect(state, solution)
        memory = self.memory.setdefault(len(good.dem), good)
        memory.put(slice(None), good)
        return replace(memory)


class KeepsByPlace(Baseline):
    """An earlier answer to whatever lies where its problem lay."""

    name = "keeps-by-place"

    def __init__(self):
        super().__init__()
        self.answers = {}

    def solve(self, state):
        key = state.problem.dn.ctypes.data, len(state.problem.dn)
        if key not in self.answers:
            self.answers[key] = super().solve(state)
        return self.answers[key]


class PatchesNumpysRandom(Baseline):
    """Has every generator draw the same, so that every run's problem is one that it knows."""

    name = "patches-numpys-random"

    def __init__(self):
        super().__init__()
        own, self.answers = np.random.default_rng, {}
        np.random.default_rng = lambda *_: own(0)

    def solve(self, state):
        key = state.problem.dn.tobytes()
        if key not in self.answers:
            self.answers[key] = super().solve(state)
        return self.answers[key]
