"""How fast an engine is, and whether that may be quoted."""
