"""Tables of rates as people read them: on the page, in files, in the monthly bulletin. Nothing here counts."""
