"""What Prefect runs: one thin flow a file."""
