"""From a lesson to the letter that one person gets; nothing here reads a clock or a database."""
