"""The HTTP carriage, written from http.md: what the outer and the inner messages say.  Sans-IO, like the rest."""
