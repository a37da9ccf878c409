"""What is kept: examinations, photographs, and a log of every verdict."""
