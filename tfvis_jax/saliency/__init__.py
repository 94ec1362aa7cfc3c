"""What makes a factor fire: LIME, occlusion, gradients, and how good maps are."""
