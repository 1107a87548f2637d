"""The whole system on one machine: real Postgres and NATS, the five services, and the command `plaudit`."""
