"""Open311 GeoReport v2: another language for the same reports and cases (decision 0030)."""
