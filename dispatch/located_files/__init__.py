"""Files of points → the same files with cell and responsible person: ``gridward locate``."""
