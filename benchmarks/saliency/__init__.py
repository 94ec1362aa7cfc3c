"""Saliency maps and the examples pass: speed beside published code."""
