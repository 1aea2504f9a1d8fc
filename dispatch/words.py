"""Search by words: what is looked for, and the duty that reads new cases into the index.

The index is written after the report is answered, by the worker: kept in the same transaction it would cost thirty
times what writing the row costs (decision 0032). A search looks into the index and at the cases the worker has not
come to, so it is complete at any moment; without a worker it gets slower, not wrong.
"""

from __future__ import annotations

from typing import Final

from geo.storage.uow import WriteUnit

__all__ = ["BATCH", "MOST_LETTERS", "WORDS", "read_words", "split_words"]

MOST_LETTERS: Final = 100
_MOST_WORDS: Final = 8
BATCH: Final = 1000
WORDS: Final = "concat_ws(' ', c.text, c.address, c.ref, c.ticket)"
"""What a case is found by; ``c`` is the case."""

# One worker at a time: the next one finds the row locked and comes again.
_READ: Final = f"""
WITH mark AS MATERIALIZED (SELECT r.txid, r.event_id FROM dispatch.words_read AS r FOR UPDATE SKIP LOCKED),
places AS MATERIALIZED (
  SELECT p.txid, p.id FROM mark AS m CROSS JOIN LATERAL dispatch.feed_places(m.txid, m.event_id, %(batch)s) AS p),
fresh AS (
  INSERT INTO dispatch.case_words (case_id, terms)
  SELECT c.id, dispatch.word_terms({WORDS})
    FROM places AS p
    JOIN dispatch.case_event AS e ON e.id = p.id AND e.seq = 1
    JOIN dispatch.dispatch_case AS c ON c.id = e.case_id
  ON CONFLICT (case_id) DO UPDATE SET terms = excluded.terms),
last AS (SELECT p.txid, p.id FROM places AS p ORDER BY p.txid DESC, p.id DESC LIMIT 1)
UPDATE dispatch.words_read AS r SET txid = l.txid, event_id = l.id FROM last AS l
RETURNING (SELECT count(*) FROM places)
"""  # noqa: S608 - constants only


def split_words(text: str) -> tuple[str, ...]:
    """The words that all have to be there; in Chinese, a whole phrase is one.

    Examples
    --------
    >>> split_words("  井盖　缺失 ")
    ('井盖', '缺失')
    """
    return tuple(dict.fromkeys(text.split()))[:_MOST_WORDS]


async def read_words(unit: WriteUnit, *, batch: int = BATCH) -> int:
    """Read the words of the next cases of the feed; how many events were looked at."""
    driver = await unit.driver()
    row = await (await driver.execute(_READ.encode(), {"batch": batch})).fetchone()
    return int(row[0]) if row is not None else 0
