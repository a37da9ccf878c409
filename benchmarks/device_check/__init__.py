"""`make device-check`: one report of everything that only a device can show. See `__main__` for how it is run."""
