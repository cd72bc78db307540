"""Looks each name of Python up once: signatures name the same ones often, and a search reads all."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain


class RememberingDomain(PythonDomain):
    """The domain of Python, for the time when all pages have been read."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._found: dict[tuple[Any, ...], Any] = {}

    def find_obj(self, env: Any, *asked: Any, **options: Any) -> Any:
        """What ``asked`` may mean, from the second time on without a search."""
        key = (*asked, *sorted(options.items()))
        if key not in self._found:
            self._found[key] = super().find_obj(env, *asked, **options)
        return self._found[key]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_domain(RememberingDomain, override=True)
    return {"parallel_read_safe": True}
