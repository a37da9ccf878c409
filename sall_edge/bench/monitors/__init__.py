"""What tells about a machine at work: one file per source; which of them are read here is decided in `here`."""
