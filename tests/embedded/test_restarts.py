"""How long a dead part waits for its next try, and how its death is told."""

from scalix.embedded.keeper import LONGEST_DELAY_SECONDS, ending, restart_delay


def test_the_delay_doubles_from_a_quarter_of_a_second_to_thirty_seconds() -> None:
    assert [restart_delay(deaths) for deaths in (1, 2, 3, 7, 8, 9, 5000)] == [
        *(0.25, 0.5, 1.0, 16.0),
        *[LONGEST_DELAY_SECONDS] * 3,
    ]


def test_an_exit_status_is_told_in_words() -> None:
    assert ending(3) == "ended with exit status 3"
    assert ending(-9) == "was killed by SIGKILL"
