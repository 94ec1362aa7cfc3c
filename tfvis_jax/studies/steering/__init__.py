"""What the masked-LM predicts once a factor is added or removed."""
