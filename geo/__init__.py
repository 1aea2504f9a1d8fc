"""Where it is and whose it is (floor 1)."""
