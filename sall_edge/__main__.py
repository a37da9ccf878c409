"""`python -m sall_edge`, for launchers that start modules."""

from sall_edge.cli import main

main()
