"""How measurements are reported: where they were made, tables, plots, files."""
