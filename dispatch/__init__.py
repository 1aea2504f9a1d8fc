"""What must happen, who does it, by when (floor 2)."""
