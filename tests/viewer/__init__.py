"""A package, so that its tests share one browser and end it before others run."""
