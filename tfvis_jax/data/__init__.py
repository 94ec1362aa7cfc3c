"""Data: documents, token windows on disk, batches, hidden states."""
