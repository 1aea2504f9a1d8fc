"""Webhooks: events sent to the addresses that channels name, signed, in order, and only to where they may go."""
