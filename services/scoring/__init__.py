"""The scoring service: how warmly each customer stands to the company, and why.

Owns the signal ledger and the advocacy score. Answers ScoreService. Emits ScoreChanged.
Consumes ActivityRecorded, ActivityVoided, CustomerChanged (profile) and ResponseRecorded (feedback).
"""
