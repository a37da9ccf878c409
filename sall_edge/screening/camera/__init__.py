"""Where photographs come from: live cameras, and cameras that deliver files."""
