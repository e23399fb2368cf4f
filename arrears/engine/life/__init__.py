"""What life does to an account: money in and back, charges, promises, plans. Pure: a fold over all that happened."""
