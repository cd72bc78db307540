"""``minihv tour``: a demonstration in acts. Every line behind a bar comes from a machine that ran just then.

Next: ``minihv.cli.acts.act1``
"""

from collections.abc import Callable

from minihv.cli.acts import act1
from minihv.cli.contained import contained
from minihv.cli.narrator import Narrator

ACTS: tuple[Callable[[Narrator], None], ...] = (act1.play,)


def play(*, plain: bool, pause: bool) -> int:
    """Plays all acts in a process of its own; the status of the command."""
    return contained(lambda beat: perform(Narrator(plain=plain, pause=pause, beat=beat)))


def perform(narrator: Narrator) -> int:
    """The tour itself."""
    for act in ACTS:
        act(narrator)
    return 0
