"""The local gazetteer: estates, courtyards, crossings and their aliases, found by words as people write them."""
