"""The closed list: bootstrap, settings, errors, database, tenancy, migrations, clock, events, ingest and their kin."""
