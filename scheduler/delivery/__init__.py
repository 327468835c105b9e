"""Sending what is due: the round, and the channels that letters leave by."""
