"""A simulated field-service company, imported into a running stack, and the report of what Plaudit makes of it."""
