"""From text to batches: documents, token windows on disk, the loader."""
