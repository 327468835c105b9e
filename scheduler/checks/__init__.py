"""Findings for whoever edits the course: what is not wrong to read, but not fit to send."""
