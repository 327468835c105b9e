"""The database: people, enrolments, deliveries, editions. The only room that knows SQL."""
