"""Search: settings that err less than the defaults, found by trials within a budget."""
