"""Feedback: what customers say, and what is done about it.

Owns surveys, responses, mentions, cases and their triggers. Answers kpis/nps, csat and ces. Emits ResponseRecorded,
MentionRecorded and CaseChanged; consumes CustomerChanged.
"""
