"""What must survive: the calls and their ids, the CDR cursor and rows, and the outbox of deliveries."""
