"""Options and profiles of the whole suite.

``--long`` runs the tests marked ``long`` too, and gives each property ten times as many examples.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "suite",
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),  # there a red build is one that can be had again
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", settings.get_profile("suite"), max_examples=1000)
settings.register_profile("sanitized", settings.get_profile("suite"), max_examples=25)
# A planted fault has to be found, not to be made small; and it is found again in the next run.
settings.register_profile(
    "planted", settings.get_profile("suite"), derandomize=True, phases=[Phase.explicit, Phase.generate]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the long tests too, and more examples of each property"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile", None) is None:
        settings.load_profile("long" if config.getoption("--long") else "suite")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what is in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Workers take whole files in this order: the slowest go first, and none of them is left for the end.
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)
    if config.getoption("--long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="runs only with --long"))
