"""The roster: the people in subscribers.yaml, and how they get into the database."""
