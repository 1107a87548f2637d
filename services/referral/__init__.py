"""The referral service: whom customers bring, and what they are owed for it.

Owns programs. Answers ProgramService. Emits ProgramChanged. Consumes nothing yet.
"""
