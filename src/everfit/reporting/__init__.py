"""What was found, drawn: pictures and pages for people, from records alone."""
