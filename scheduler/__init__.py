"""Physiopost: a week-by-week e-mail course that starts from a first appointment."""

__version__ = "0.1.0"
