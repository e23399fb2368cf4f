"""From templates and facts to words and pages: Jinja for text, Jinja to Typst to PDF for letters."""
