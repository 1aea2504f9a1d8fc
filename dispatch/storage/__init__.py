"""Tables and statements of the dispatch floor."""
