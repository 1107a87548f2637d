"""Profile: who the customers are and what they did.

Owns customers, activities and the 360 view. Answers CustomerService and ActivityService. Emits ActivityRecorded,
ActivityVoided and CustomerChanged. Consumes its own ActivityRecorded, ResponseRecorded, CaseChanged and ScoreChanged.
"""
