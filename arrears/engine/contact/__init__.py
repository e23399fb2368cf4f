"""May this contact be made? Rules are data; the shapes of rules are code."""
