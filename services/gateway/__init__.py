"""Gateway: the public HTTP API. It translates, and has no business rule.

Owns: tenants, API keys, the public event feed. Answers: HTTP under /v1.
Emits: nothing. Consumes: every service's public facts, for `GET /v1/events`.
"""
