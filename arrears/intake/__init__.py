"""Files that come in, read row by row: bad rows are refused by line and reason, good ones go on."""
