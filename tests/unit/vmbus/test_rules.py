from string import Formatter

import pytest

from minihv.spec.vmbus import ChannelStatus
from minihv.vmbus.rules import Refused, Rule, refused


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_a_rule_is_one_sentence(rule: Rule) -> None:
    assert rule.sentence[0].isupper() or rule.sentence.startswith("{kind}")
    assert rule.sentence.endswith((".", "}"))


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_what_was_found_has_its_place_in_the_sentence(rule: Rule) -> None:
    names = {name for _, name, _, _ in Formatter().parse(rule.sentence) if name}
    text = Refused(rule, dict.fromkeys(names, 0x77)).text
    assert "{" not in text
    assert "119" in text or "0x77" in text or not names


def test_rules_are_all_different() -> None:
    assert len({rule.sentence for rule in Rule}) == len(Rule)


def test_a_refusal_has_the_status_of_its_rule() -> None:
    assert refused(Rule.NO_GPADL, gpadl=1).status is ChannelStatus.NOT_FOUND
    assert refused(Rule.OFFERS_TWICE).status is ChannelStatus.UNSUCCESSFUL


def test_no_refusal_looks_like_success() -> None:
    assert all(refused(rule).status != ChannelStatus.SUCCESS for rule in Rule)
