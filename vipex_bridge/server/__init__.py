"""The bridge's own HTTP server: who may come in, and what it gives (contract, section 5)."""
