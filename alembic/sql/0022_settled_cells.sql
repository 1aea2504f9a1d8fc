-- Cells of other published drawings in which a redraw changed nothing: every point that was put into one of them lies in
-- the cell of the same path in this drawing too, so nobody has to look for it anew (geo.covering_cell, a fifth of a
-- millisecond a point). Such a cell has a twin here, of the same path and exactly the same boundary, and no cell of its
-- level or below that touches either of them is without its own twin: then the cells that cover a point of it, and so
-- the deepest and first of them, are the same in both drawings. Boxes stand for boundaries: a few cells too many are
-- looked for anew.
CREATE FUNCTION geo.settled_cells(version int)
RETURNS TABLE (id bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20000
AS $$
  WITH other AS MATERIALIZED (
    SELECT v.id
      FROM geo.grid_version AS v
      JOIN geo.grid_version AS wanted ON wanted.id = version AND wanted.jurisdiction = v.jurisdiction
     WHERE v.status = 'published' AND v.id <> version
  ), twin AS MATERIALIZED (
    SELECT o.id, o.version_id, n.id AS new_id, o.level, o.boundary
      FROM other
      JOIN geo.cell AS o ON o.version_id = other.id
      JOIN geo.cell AS n ON n.version_id = version AND n.path = o.path AND n.boundary = o.boundary
  ), changed AS MATERIALIZED (
    SELECT o.version_id, o.level, o.boundary
      FROM other
      JOIN geo.cell AS o ON o.version_id = other.id
     WHERE o.id NOT IN (SELECT twin.id FROM twin)
    UNION ALL
    SELECT other.id, n.level, n.boundary
      FROM other
      JOIN geo.cell AS n ON n.version_id = version
     WHERE (other.id, n.id) NOT IN (SELECT twin.version_id, twin.new_id FROM twin)
  )
  SELECT twin.id
    FROM twin
   WHERE NOT EXISTS (SELECT FROM changed AS c
                      WHERE c.version_id = twin.version_id AND c.level >= twin.level AND c.boundary && twin.boundary)
$$;
