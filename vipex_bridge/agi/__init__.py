"""The dialplan's side of the bridge: what `AGI()` calls (contract, section 3).

`conversation` is the protocol without any I/O, `call` what it means to us, `peer` one connection that
speaks it, `server` the listening and the order of a lookup. The scripts for `agi-bin` are in `agi/`.
"""
