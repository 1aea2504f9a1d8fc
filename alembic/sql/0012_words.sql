-- Searching cases by words. The index holds every character and every pair of characters, because Chinese has no blanks
-- between words and most of them have two characters, which is one less than trigrams need.
CREATE FUNCTION dispatch.word_form(words text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT lower(normalize(words, NFKC)) $$;

CREATE FUNCTION dispatch.word_terms(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$
  SELECT coalesce(array_agg(DISTINCT t.term), '{}')
    FROM (SELECT unnest(ARRAY[c.one, c.one || lead(c.one) OVER (ORDER BY c.place)]) AS term
            FROM unnest(string_to_array(dispatch.word_form(words), NULL)) WITH ORDINALITY AS c (one, place)) AS t
   WHERE t.term IS NOT NULL AND t.term !~ '\s'
$$;

-- Cases that may hold these terms: those read by the worker, and those it has not come to yet. Ids only; what of them
-- a caller sees, the policies of the case decide.
CREATE FUNCTION dispatch.cases_with_terms(wanted text[]) RETURNS SETOF uuid
LANGUAGE sql STABLE ROWS 300 SECURITY DEFINER SET search_path = pg_catalog AS
$$
  SELECT w.case_id FROM dispatch.case_words AS w WHERE w.terms @> wanted
  UNION ALL
  SELECT e.case_id FROM dispatch.case_event AS e
   WHERE e.seq = 1 AND (e.txid, e.id) > ((SELECT r.txid FROM dispatch.words_read AS r),
                                         (SELECT r.event_id FROM dispatch.words_read AS r))
$$;
