"""What sparse coding is compared with: sparse autoencoders, PCA, untrained factors."""
