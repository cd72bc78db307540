"""Tells a demonstration: titles, sentences, and what really came out of a machine, kept apart by a bar.

Next: ``minihv.cli.tour``
"""

import os
import re
import select
import sys
import textwrap
from collections.abc import Iterable

from minihv.cli.contained import Beat
from minihv.cli.output import is_plain

COLUMNS = 78
BAR = "  | "
TERM = re.compile(r"\*([^*\n]+)\*")
"""A word where it is explained: ``*exit*``."""
TOGETHER = re.compile(r"\*[^*]+\*|[Rr]ing -1")
"""Words that stay on one line."""
BOLD, CYAN, RESET = "\033[1m", "\033[36m", "\033[0m"
SECONDS_BETWEEN_BEATS = 5.0


class Narrator:
    """Prints a tour. With ``pause`` it waits for Enter between scenes, if somebody sits at a terminal."""

    def __init__(self, *, plain: bool, pause: bool, beat: Beat) -> None:
        self._plain = is_plain(plain)
        self._pauses = pause and sys.stdin.isatty() and sys.stdout.isatty()
        self.beat = beat
        self._scenes = 0

    def act(self, title: str) -> None:
        """The title of an act, whose scenes are counted from 1; before it, time to read the last."""
        if self._scenes:
            self._wait()
            print()
        self._scenes = 0
        print(self._styled(title, BOLD))
        print(self._styled("=" * len(title), BOLD))

    def scene(self, title: str) -> None:
        """The title of the next scene; before it, time to read the last."""
        if self._scenes:
            self._wait()
        self.beat()
        self._scenes += 1
        print("\n" + self._styled(f"{self._scenes}. {title}", BOLD) + "\n")

    def say(self, text: str) -> None:
        """Sentences, with ``*words*`` that are explained here. Every number in them was counted."""
        whole = TOGETHER.sub(lambda found: found[0].replace(" ", "\0"), " ".join(text.split()))
        for line in textwrap.wrap(whole, COLUMNS, break_on_hyphens=False, expand_tabs=False):
            print(TERM.sub(lambda found: self._styled(found[1], BOLD), line.replace("\0", " ")))
        print()

    def show(self, lines: Iterable[str]) -> None:
        """What a machine answered."""
        for line in lines:
            print((BAR + self._styled(line, CYAN)) if line else BAR.rstrip())
        print(flush=True)

    def _styled(self, text: str, style: str) -> str:
        return text if self._plain else f"{style}{text}{RESET}"

    def _wait(self) -> None:
        """Until Enter is pressed; meanwhile the narrator is alive."""
        if not self._pauses:
            return
        print("[Enter: next scene   Ctrl-C: leave] ", end="", flush=True)
        while not select.select([sys.stdin], [], [], SECONDS_BETWEEN_BEATS)[0]:
            self.beat()
        os.read(sys.stdin.fileno(), 4096)
