"""One verb a file, shared by flows, command line and desk."""
