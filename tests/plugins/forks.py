"""A solver that forks, as process pools do by default on Linux until Python 3.14."""

import multiprocessing

from implementations.baseline import Baseline


class Forks(Baseline):
    """The baseline, while a forked process comes and goes."""

    name = "forks"

    def solve(self, state):
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join()
        return super().solve(state)
