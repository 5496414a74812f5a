"""Call detail records: where Asterisk writes them, and how new ones are noticed."""
