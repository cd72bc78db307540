"""Fixtures of the command line's tests."""

from pathlib import Path

import pytest
from command_line import CommandLine, GuestWriter


@pytest.fixture
def minihv(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    for name in ("NO_COLOR", "FORCE_COLOR", "MINIHV_CORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return CommandLine(monkeypatch, capfd)


@pytest.fixture
def guest(tmp_path: Path) -> GuestWriter:
    return GuestWriter(tmp_path)
