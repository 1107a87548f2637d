"""What every code means and what to do about it. `docs/errors.md` and `GET /docs/errors` are made from this."""

_SEND_AGAIN = "Send the same request again after Retry-After, with jitter, for up to a minute."
_MEND = "Correct the field that `errors[].pointer` names."

CATALOGUE: dict[str, tuple[str, str]] = {
    # The request as such.
    "JSON_INVALID": (
        "The body, or the line, is not JSON in UTF-8, or is nested more than 64 levels deep.",
        "Send JSON.",
    ),
    "BODY_TOO_LARGE": ("The body is over 1 MiB.", "Send fewer items, or stream lines as application/x-ndjson."),
    "BODY_TIMEOUT": ("The body did not come within 30 seconds.", "Send it again, faster."),
    "CONTENT_TYPE_UNSUPPORTED": ("The body is of another type.", "Send Content-Type: application/json."),
    "CONTENT_ENCODING_UNSUPPORTED": ("The body is compressed.", "Send it without Content-Encoding."),
    "NOT_ACCEPTABLE": ("The Accept header leaves out JSON.", "Accept application/json."),
    "TARGET_TOO_LONG": ("Path and query are over 8 KiB.", "Shorten them."),
    "ROUTE_NOT_FOUND": ("There is no such path.", "Look it up under /docs."),
    "METHOD_NOT_ALLOWED": ("The path does not take this method.", "Use one of those in Allow."),
    "CURSOR_INVALID": ("The cursor is not of this list with these filters.", "Start again without a cursor."),
    "PAGE_TOKEN_INVALID": ("The cursor is not of this list with these filters.", "Start again without a cursor."),
    "IF_MATCH_INVALID": ("If-Match holds no entity tags.", "Send the ETag of an answer as it is."),
    "VERSION_MISMATCH": ("The thing changed since it was read.", "Read it again, decide anew, send its new ETag."),
    "IDEMPOTENCY_KEY_INVALID": (
        "The Idempotency-Key is not 1 to 255 printable ASCII characters.",
        "Take another form.",
    ),
    "IDEMPOTENCY_KEY_REUSED": ("The key came before with another body.", "Take a new key for a new request."),
    "IDEMPOTENCY_KEY_IN_FLIGHT": ("The first request with the key is under way.", "Ask again in a moment."),
    # Who asks.
    "UNAUTHENTICATED": (
        "No API key, or one that is unknown, expired or revoked.",
        "Send Authorization: Bearer and a good key.",
    ),
    "SCOPE_MISSING": ("The key lacks the scope that `scope` names.", "Use a key that has it."),
    "KEY_IN_QUERY": ("A key stood in the URL.", "Rotate it, and send it as Authorization."),
    "SCOPE_UNKNOWN": ("There is no such scope, or none was named.", "Take scopes of the list in the API's document."),
    "API_KEY_NOT_FOUND": ("There is no such key in this tenant.", "List the keys."),
    # Fields.
    "FIELD_REQUIRED": ("A field is missing.", _MEND),
    "FIELD_UNKNOWN": ("There is no such field or parameter.", "Leave it out; check its spelling."),
    "TYPE_INVALID": ("The value is of another type; nothing is converted.", _MEND),
    "VALUE_INVALID": ("The value is none of those that the field takes.", _MEND),
    "OUT_OF_RANGE": ("The number is too small or too large.", _MEND),
    "TEXT_INVALID": ("The text has control or text direction characters.", "Remove them."),
    "BLANK": ("The text has nothing visible in it.", "Leave the field out."),
    "ITEM_TOO_LARGE": ("The item, or the field named, is over its limit.", "Shorten it; `detail` says the limit."),
    "BATCH_TOO_LARGE": ("The batch has more than 1,000 items.", "Send several, or stream lines."),
    "BATCH_EMPTY": ("The batch has no items.", "Send at least one."),
    "ID_INVALID": (
        "The id has other characters or is too long.",
        "1 to 128 of A-Z a-z 0-9 . _ : -, first a letter or digit.",
    ),
    "ID_IS_PERSONAL": ("The id looks like an e-mail address or a phone number.", "Use your own pseudonymous key."),
    "ID_REUSED": ("The id was taken before by other content; ids of facts are taken for ever.", "Take a new id."),
    "OFFSET_MISSING": ("The time has no offset from UTC.", "Add Z or, say, +02:00."),
    "TIME_INVALID": ("Not a time of RFC 3339.", "Write it as 2026-01-31T09:30:00Z."),
    "TIME_OUT_OF_RANGE": ("The time is before 1970 or too far ahead.", _MEND),
    "OCCURRED_AT_IN_FUTURE": (
        "It is said to have happened more than 24 hours ahead.",
        "Check the sender's clock and offset.",
    ),
    "CURRENCY_UNKNOWN": ("Not an ISO 4217 code in capitals.", "Write EUR, not eur or €."),
    "EMAIL_INVALID": ("Not an e-mail address that can be written to.", _MEND),
    "PHONE_INVALID": ("Not a phone number in E.164.", "Write +, country code, number, without spaces."),
    "LOCALE_INVALID": ("Not a language tag of BCP 47.", "Write en or pt-BR."),
    "TIMEZONE_UNKNOWN": ("Not an IANA time zone.", "Write Europe/Berlin."),
    "URL_INVALID": ("Not an http or https URL, or one with a user name.", _MEND),
    # Customers and activities.
    "CUSTOMER_NOT_FOUND": ("Nothing is known of such a customer.", "Put the customer, or send a fact about it."),
    "ACTIVITY_NOT_FOUND": ("There is no such activity.", "Check the id."),
    "ACTIVITY_TYPE_UNKNOWN": ("Not one of the listed types.", "Use one, or x. and your own word."),
    "SUBJECT_MISSING": ("The activity names no customer, device or account.", "Name one."),
    "IDENTITY_INVALID": ("An identity lacks its type or value.", _MEND),
    "OCCURRED_AT_INVALID": ("The time of the fact cannot be read.", _MEND),
    "OCCURRED_AT_TOO_EARLY": ("The time of the fact is before 1970.", _MEND),
    # Feedback.
    "SURVEY_NOT_FOUND": ("There is no such survey.", "Put it first."),
    "SURVEY_UNKNOWN": ("The answer names a survey that was never put.", "Put the survey, then send the answer again."),
    "METRIC_MISSING": ("Neither survey nor metric is named.", "Name one."),
    "METRIC_MISMATCH": ("The metric is not the survey's.", "Leave one of the two out."),
    "METRIC_UNKNOWN": ("There is no such metric.", "nps, csat or ces."),
    "METRIC_BY_UNSUPPORTED": ("The metric cannot be grouped by that.", "moment, channel, survey or team."),
    "MENTION_BY_UNSUPPORTED": ("Mentions cannot be grouped by that.", _MEND),
    "SCALE_UNSUPPORTED": ("The metric has no such scale.", "nps 0-10 or 1-10, csat 1-5, ces 1-7."),
    "SCORE_OUT_OF_RANGE": ("The score is not on its scale.", _MEND),
    "REACH_OUT_OF_RANGE": ("The reach is below 0.", _MEND),
    "ANSWER_MISSING": ("The answer has neither score nor verbatim.", "Send one."),
    "RESPONSE_NOT_FOUND": ("There is no such answer.", "Check the id."),
    "MENTION_NOT_FOUND": ("There is no such mention.", "Check the id."),
    "CASE_NOT_FOUND": ("There is no such case.", "Check the id; cases are found by trigger_id."),
    "CASE_ALREADY_OPEN": ("The customer has another open case.", "Work on that one."),
    "TRANSITION_NOT_ALLOWED": (
        "The case cannot take that step from where it is.",
        "Read the case; go one step at a time.",
    ),
    "ROOT_CAUSE_MISSING": ("action_taken needs root_cause.", "Send it along."),
    "NOTE_MISSING": ("A suppression needs a note with its reason.", "Send it along."),
    "CONFIRMATION_NOT_ALLOWED": ("A confirmation goes with closed only.", "Leave it out."),
    "CONTACT_INCOMPLETE": ("A contact needs by, channel and outcome.", _MEND),
    "AT_IN_FUTURE": ("The time lies ahead.", "Leave `at` out for now."),
    "AT_BEFORE_LAST_STEP": ("The time is before the case's last step.", _MEND),
    "PERIOD_INVALID": ("The period ends before it begins.", "Let from be before to."),
    "INTERVAL_UNKNOWN": ("There is no such interval.", "day, week or month."),
    "SERIES_TOO_LONG": ("The series would have too many points.", "Ask for a shorter period or a longer interval."),
    "HOURS_INVALID": ("The calendar's hours are not of the right form.", _MEND),
    "HOLIDAY_INVALID": ("A holiday is not a date.", "Write 2026-12-25."),
    "KIND_INVALID": ("There is no such kind.", _MEND),
    # Scores, programs, events.
    "AS_OF_INVALID": ("The time of the score is out of range.", "From 1970 to 24 hours ahead."),
    "PROGRAM_NOT_FOUND": ("There is no such program.", "Check the key."),
    "PROGRAM_INVALID": ("The program's definition is not right.", _MEND),
    "EVENT_TYPE_UNKNOWN": ("There is no such event type.", "Take types of the API's document."),
    "JOB_NOT_FOUND": ("There is no such job in this tenant.", "Take the id of the answer that started it."),
    # Us.
    "JOB_FAILED": ("A job met a fault on our side and will not go on.", "Tell us the job's id."),
    "INTERNAL": ("Something went wrong on our side.", "Tell us the request id."),
    "NOT_READY": ("A part of the system does not answer; `parts` says which.", "Wait."),
    "SERVICE_UNAVAILABLE": ("A part of the system is away.", _SEND_AGAIN),
    "SERVICE_BUSY": ("A part of the system has too much to do.", _SEND_AGAIN),
    "DEPENDENCY_UNAVAILABLE": ("A store is away.", _SEND_AGAIN),
    "DEADLINE_EXCEEDED": ("A part of the system did not answer in time.", _SEND_AGAIN),
    "QUEUE_FULL": ("Too many items of this tenant are waiting.", _SEND_AGAIN),
    "SHUTTING_DOWN": ("This process is going away.", _SEND_AGAIN),
}


def as_markdown() -> str:
    """Return the catalogue as docs/errors.md holds it."""
    rows = "".join(f"| `{code}` | {cause} | {way} |\n" for code, (cause, way) in sorted(CATALOGUE.items()))
    return f"{_HEAD}\n| code | cause | way out |\n|---|---|---|\n{rows}"


_HEAD = """# Problems

Every answer that is not 2xx is `application/problem+json` (RFC 9457):
`type, title, status, detail, code, request_id, errors: [{pointer, code, detail}]`.
`code` is stable; with several faults it is the first one's. `pointer` is an RFC 6901 pointer into the body, or `?name`
for a query parameter. What was sent is never repeated in the answer. `Request-Id` is on every answer, problem or not.

The retry rule: on a connection error, a reset, 429, 502, 503 or 504 send the same body and ids again, with full jitter
between 0.1 and 5 seconds, `Retry-After` first, for up to 60 seconds. Facts, PUT, PATCH and DELETE repeat without harm;
other POSTs do with an `Idempotency-Key`.

Written by `python -m services.gateway.admin errors`.
"""
