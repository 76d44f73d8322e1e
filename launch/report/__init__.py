"""Turn results into tables, pictures and videos."""
