"""A bench or an evaluation as files for people."""
