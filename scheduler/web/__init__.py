"""The pages: so far the one on which a patient stops the letters."""
