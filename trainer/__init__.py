"""The SALL network and how it is trained."""
