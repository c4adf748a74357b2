"""A regex means the same in RE2 and, translated, in a real PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_history.domain.postgres_regex import to_postgres_regex
from alert_history.domain.regex import full_match
from tests.regexes import REGEXES, VALUES, regexes, values
from tests.servers import PostgresServer

Answers = Callable[[str, Sequence[str]], list[bool]]


@pytest.fixture(scope="module")
def answers(postgres_server: PostgresServer) -> Iterator[Answers]:
    """What PostgreSQL says of each value."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_server.url))

        def ask(regex: str, values: Sequence[str]) -> list[bool]:
            pattern, ignores_case = to_postgres_regex(regex)
            sign = "~*" if ignores_case else "~"
            question = f"SELECT array_agg(v {sign} $1 ORDER BY n) FROM unnest($2::text[]) WITH ORDINALITY AS t (v, n)"
            return list(runner.run(connection.fetchval(question, pattern, list(values))))

        yield ask
        runner.run(connection.close())


def re2_answers(regex: str, values: Sequence[str]) -> list[bool]:
    return [full_match(regex, value) for value in values]


@pytest.mark.parametrize("regex", REGEXES)
def test_postgres_says_what_re2_says(regex: str, answers: Answers) -> None:
    assert answers(regex, VALUES) == re2_answers(regex, VALUES)


@settings(max_examples=400, deadline=None)
@given(regex=regexes, some=st.lists(values, min_size=1, max_size=12))
def test_postgres_says_what_re2_says_of_any_regex(answers: Answers, regex: str, some: list[str]) -> None:
    assert answers(regex, some) == re2_answers(regex, some)
