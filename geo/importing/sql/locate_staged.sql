-- Tie rule "edge-1" for a whole staged batch at once; one row per point that a cell covers.
-- The same rule as geo.covering_cell, written as a join: PostGIS keeps a polygon prepared only while the same one comes
-- again, so with few large cells the cells must drive (one index scan of points per cell), and with many small ones the
-- points. The planner chooses by the sizes; both tables have a GiST index and fresh statistics.
INSERT INTO staged_cell (row, cell_id, path)
SELECT DISTINCT ON (p.row) p.row, c.id, c.path
  FROM geo.cell AS c
  JOIN staged_point AS p ON ST_Covers(c.boundary, p.location)
 WHERE c.version_id = %(version)s
 ORDER BY p.row, c.level DESC, c.code COLLATE "C"
