"""The plan: from a person's tailoring to the dates of the letters. Pure."""
