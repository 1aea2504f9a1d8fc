"""Doors: HTTP, CLI, accounts and keys, wiring (floor 4)."""
