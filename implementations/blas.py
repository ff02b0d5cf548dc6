"""BLAS held to some threads, by threadpoolctl; where that is missing, left at what the environment says.

To look for libraries takes longer than a few pixels, so that it is done once in a process, and again when something has
been imported since: that may have brought a library of its own.
"""

import functools
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

try:
    from threadpoolctl import ThreadpoolController, threadpool_limits
except ImportError:

    def threadpool_limits(limits: int, user_api: str | None = None) -> AbstractContextManager[Any]:
        """No limit."""
        return nullcontext()

    class ThreadpoolController:  # type: ignore[no-redef]
        """No limit."""

        def limit(self, limits: int, user_api: str | None = None) -> AbstractContextManager[Any]:
            """See `threadpool_limits`."""
            return threadpool_limits(limits, user_api)


def one_thread(user_api: str | None = None) -> AbstractContextManager[Any]:
    """All libraries of this process, or those of the kind `user_api`, held to one thread."""
    return _found(len(sys.modules)).limit(limits=1, user_api=user_api)


@functools.lru_cache(maxsize=1)
def _found(modules: int) -> ThreadpoolController:
    """The libraries that are loaded while so many modules are."""
    return ThreadpoolController()


__all__ = ["one_thread", "threadpool_limits"]
