"""What ``--reload`` shows of a mistake. Nothing of it is imported where that is not given."""
