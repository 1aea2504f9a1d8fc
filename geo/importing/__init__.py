"""Files in, grid versions out: read, check, place, measure, store."""
