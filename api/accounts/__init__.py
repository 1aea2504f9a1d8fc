"""Who may come through the doors: keys of channels, and operators' sessions."""
