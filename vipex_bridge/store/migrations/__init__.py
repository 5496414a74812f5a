"""The steps from each version of the state database to the next, as Alembic takes them."""
