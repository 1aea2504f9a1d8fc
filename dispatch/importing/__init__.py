"""Historic reports in: read a CSV, check every row by name, store batch by batch."""
