"""The administration pages: forms and tables over the office's own interface, drawn here and without a script."""
