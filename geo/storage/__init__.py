"""PostGIS plumbing and the tables of the geo floor."""
