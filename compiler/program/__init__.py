"""The contract with any device: instruction set, image, its file and its text."""
