"""Sharing one circuit: leases, the exposure ledger, fair shares, and the two roles."""
