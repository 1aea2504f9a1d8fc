"""Is it real, is it getting worse, where does it come back: the statistics behind the planners' maps.

Pure: arrays in, frozen results out; no SQL, no web, no settings, no clock, and every random draw has a seed. Each
function names its source paper; `maps.hotspots.sources` holds the list that the pages print. Where esda has the same
statistic the results are equal to 1e-9 (``tests/unit/hotspots``).
"""
