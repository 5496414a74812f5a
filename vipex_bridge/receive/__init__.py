"""The receiving end for demonstrations, tests and CRM developers: shows requests, misbehaves on demand."""
