"""The command line: typer commands that call operations and print what came of it."""
