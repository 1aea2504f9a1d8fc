"""The sandbox: keys of a channel whose cases live in a database of their own, on a clock that can be advanced."""
