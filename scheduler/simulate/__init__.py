"""The time machine: the whole service on a simulated clock, and the checker of what it sent."""
