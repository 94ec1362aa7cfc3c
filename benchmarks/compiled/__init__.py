"""Programs compiled for devices that need not be at hand."""
