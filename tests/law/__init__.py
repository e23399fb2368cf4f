"""Is the law kept? A naive auditor reads the rules and the ledger afresh; it shares no code with the gate."""
