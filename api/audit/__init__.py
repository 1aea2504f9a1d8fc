"""The audit trail: who did what, in a chain that shows where it was touched (docs/privacy.md)."""
