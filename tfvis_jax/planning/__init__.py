"""What a run takes of each device, known before it starts."""
