"""BLAS held to some threads, by threadpoolctl; where that is missing, left at what the environment says."""

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

        def limit(self, limits: int) -> AbstractContextManager[Any]:
            """See `threadpool_limits`."""
            return threadpool_limits(limits)


__all__ = ["ThreadpoolController", "threadpool_limits"]
