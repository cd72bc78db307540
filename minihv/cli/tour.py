"""``minihv tour``: a demonstration in acts. Every line behind a bar comes from a machine that ran just then.

Next: ``minihv.cli.acts.act1``
"""

from collections.abc import Callable, Sequence

from minihv.cli.acts import act1, act2, act3
from minihv.cli.contained import contained
from minihv.cli.narrator import Narrator
from minihv.errors import ConfigurationError

Act = Callable[[Narrator], None]
ACTS: tuple[Act, ...] = (act1.play, act2.play, act3.play)


def play(act: int | None, *, plain: bool, pause: bool) -> int:
    """Plays one act, or all, in a process of its own; the status of the command.

    Raises:
        ConfigurationError: there is no act of that number.
    """
    acts = chosen(act)
    return contained(lambda beat: perform(acts, Narrator(plain=plain, pause=pause, beat=beat)))


def chosen(act: int | None) -> Sequence[Act]:
    """The acts to play: all, or the one of that number, from 1."""
    if act is None:
        return ACTS
    if not 1 <= act <= len(ACTS):
        raise ConfigurationError(
            f"The tour has acts 1 to {len(ACTS)}, not {act}: choose one of them, or none for all."
        )
    return ACTS[act - 1 : act]


def perform(acts: Sequence[Act], narrator: Narrator) -> int:
    """The tour itself."""
    for act in acts:
        act(narrator)
    return 0
