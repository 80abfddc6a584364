"""How the screens write times and numbers, by language (Django looks here, see FORMAT_MODULE_PATH)."""
