"""Loads exports of other systems through the public API: a map says what each column means, nothing is guessed."""
