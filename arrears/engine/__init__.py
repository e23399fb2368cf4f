"""Pure decisions: what is next for a case and whether a contact may be made. Standard library only, no I/O."""
