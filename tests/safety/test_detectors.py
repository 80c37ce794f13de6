"""What each detector makes of what it sees: of abuse, and of what only looks like it."""

import random
import uuid

import pytest

from gateway.safety import detectors
from gateway.safety.detectors import Finding, judge_account, judge_address
from gateway.safety.facts import Alike, Seen, alike_elsewhere
from gateway.safety.fingerprints import sketch
from tests.safety.sights import HOUR, NOON, at_address, every, of_account, seen

THROTTLE = 70


def account(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def points(finding: Finding | None) -> int:
    return finding.points if finding else 0


def irregular(count: int, seed: int = 1, **fields: object) -> list[Seen]:
    dice, at, requests = random.Random(seed), NOON, []
    for _ in range(count):
        at += dice.lognormvariate(5, 1)
        requests.append(seen(at, **fields))
    return requests


def test_equal_pauses_are_regular_and_a_persons_are_not() -> None:
    assert points(detectors.account_regular(of_account(every(421, 30)))) == 30
    assert points(detectors.account_regular(of_account(irregular(60)))) == 0


def test_a_scheduler_that_starts_by_the_clock_says_little() -> None:
    by_the_clock = [seen(NOON + number * 1_800 + number % 3) for number in range(40)]

    assert points(detectors.account_regular(of_account(by_the_clock))) == 9


def test_a_few_requests_have_no_rhythm() -> None:
    assert detectors.account_regular(of_account(every(421, 20))) is None


def test_requests_in_each_hour_of_a_day_are_steady() -> None:
    around_the_clock = [seen(NOON + hour * HOUR) for hour in range(22)]
    a_long_day = [seen(NOON + hour * HOUR) for hour in range(14)]

    assert points(detectors.account_steady(of_account(around_the_clock))) == 25
    assert points(detectors.account_steady(of_account(a_long_day))) == 0


def test_a_burst_is_enough_by_itself() -> None:
    found = detectors.account_burst(of_account(every(0.25, 200)))

    assert points(found) >= THROTTLE
    assert found is not None
    assert "240 requests" not in found.text
    assert "200 requests within the minute from 12:00:23 UTC" in found.text


def test_a_program_that_sends_thirty_at_once_is_not_a_burst() -> None:
    assert points(detectors.account_burst(of_account(every(0.1, 30)))) == 0


def test_a_sampled_refusal_counts_as_all_that_it_stands_for() -> None:
    sampled = [seen(NOON, admitted=False, weight=150)]

    assert points(detectors.account_burst(of_account(sampled))) >= THROTTLE


def test_going_on_for_hours_after_a_refusal_is_pressing_on() -> None:
    refused = every(300, 100, admitted=False, by_own_limit=True)
    within_an_hour = every(20, 100, admitted=False, by_own_limit=True)
    by_the_address = every(300, 100, admitted=False, by_own_limit=False)

    assert points(detectors.pressing_on(of_account(refused))) == 25
    assert points(detectors.pressing_on(of_account(within_an_hour))) == 0
    assert points(detectors.pressing_on(of_account(by_the_address))) == 0


def test_prompts_that_repeat_say_little_alone() -> None:
    same = sketch("the same words in each of them and always the same in the end")
    repeated = every(400, 30, sketch=same)

    assert points(detectors.repeating(of_account(repeated))) == 10


def test_the_same_prompts_from_many_accounts_are_enough() -> None:
    facts = of_account(every(400, 8), Alike(prompts=6, accounts=9))

    assert points(detectors.in_concert(facts)) >= THROTTLE


@pytest.mark.parametrize(
    "alike",
    [
        Alike(prompts=2, accounts=40),  # exercises of a class, each sent once or twice
        Alike(prompts=40, accounts=2),  # friends with one script
        Alike(),
    ],
)
def test_what_a_class_and_what_friends_share_is_not(alike: Alike) -> None:
    assert points(detectors.in_concert(of_account(every(400, 8), alike))) == 0


def test_alike_prompts_are_counted_by_group() -> None:
    one = sketch("tell me about the first of all the things there are in this place of ours")
    other = sketch("a second prompt that has nothing at all to do with what was asked before it")
    assert one
    assert other
    ours = [*every(60, 4, sketch=one), *every(60, 2, sketch=other)]
    others = [(account(number), one) for number in range(20, 25)] + [(account(30), other)]

    assert alike_elsewhere(ours, others) == Alike(prompts=4, accounts=5)
    assert alike_elsewhere(ours, [(ours[0].account, one)]) == Alike()


def test_a_new_network_for_each_request_is_enough() -> None:
    requests = [seen(NOON + number * 500, address=f"{20 + number}.1.1.1") for number in range(24)]

    assert points(detectors.changing_networks(of_account(requests))) >= THROTTLE


@pytest.mark.parametrize(
    "addresses",
    [
        [f"100.64.{number}.7" for number in range(40)],  # a phone, within its carrier
        [f"2001:db8:{number:x}::" for number in range(40)],
        [f"{20 + number // 4}.1.1.1" for number in range(40)],  # another VPN exit each session
    ],
    ids=["phone", "phone, IPv6", "VPN"],
)
def test_an_address_that_changes_as_peoples_do_is_not(addresses: list[str]) -> None:
    requests = [
        seen(NOON + number * 1_500, address=address) for number, address in enumerate(addresses)
    ]

    assert points(detectors.changing_networks(of_account(requests))) == 0


def test_accounts_that_are_used_up_one_after_the_other_are_a_farm() -> None:
    farm = [seen(NOON + number * 20, account=account(number // 10)) for number in range(100)]

    assert points(detectors.using_up_accounts(at_address(farm))) >= THROTTLE


def test_a_workshop_whose_ten_members_all_use_their_hour_up_is_none() -> None:
    at_once = [seen(NOON + number * 25, account=account(number % 10)) for number in range(100)]

    assert points(detectors.using_up_accounts(at_address(at_once))) == 0


def test_a_few_heavy_users_at_one_address_are_none() -> None:
    day = [
        seen(NOON + number * 4_000 + place * 60, account=account(number))
        for number in range(14)
        for place in range(10)
    ]

    assert points(detectors.using_up_accounts(at_address(day))) == 0


def test_a_dormitory_is_none() -> None:
    flatmates = [
        request
        for number in range(150)
        for request in irregular(6 if number % 8 else 10, number, account=account(number))
    ]

    assert judge_address(at_address(flatmates)).score == 0


def test_new_visitors_at_a_machines_pace_are_one() -> None:
    machine = [
        seen(NOON + 7 + number * 67, account=account(number), tier="visitor")
        for number in range(60)
    ]

    assert judge_address(at_address(machine)).score >= THROTTLE


def test_a_conference_hall_is_none() -> None:
    guests = irregular(1, 1)[:0]
    dice = random.Random(3)
    for number in range(60):
        guests.append(seen(NOON + dice.uniform(0, HOUR), account=account(number), tier="visitor"))

    assert judge_address(at_address(guests)).score < 45


def test_one_prompt_from_many_accounts_at_an_address_is_seen() -> None:
    same = sketch("the same words in each of them and always the same in the end of it")
    requests = [
        seen(NOON + number * 300, account=account(number % 12), sketch=same) for number in range(36)
    ]

    assert points(detectors.same_prompts(at_address(requests))) >= THROTTLE


def test_a_class_that_begins_a_lesson_is_none() -> None:
    exercise = sketch("explain in your own words what a closure is and give two examples of it")
    requests = [
        seen(NOON + number * 9, account=account(number), sketch=exercise) for number in range(30)
    ]

    assert judge_address(at_address(requests)).score == 0


def test_a_machine_that_keeps_to_its_plan_is_watched_and_no_more() -> None:
    """Regular, steady and repeating, by day and night: a home automation."""
    same = sketch("the heating is on and the window is open and what shall i do about it")
    verdict = judge_account(of_account(every(1_800, 48, sketch=same)))

    assert 45 <= verdict.score < THROTTLE


def test_points_that_staff_excused_are_taken_off() -> None:
    facts = of_account(every(0.25, 200))
    excused = {"burst": 75}

    assert judge_account(facts, excused).score == judge_account(facts).score - 75


def test_reasons_come_strongest_first_and_in_figures() -> None:
    verdict = judge_account(of_account(every(421, 200, admitted=False, by_own_limit=True)))

    assert [found.points for found in verdict.findings] == sorted(
        (found.points for found in verdict.findings), reverse=True
    )
    assert "100% of the pauses between requests are 7.0 min long" in {
        found.text for found in verdict.findings
    }
