"""What an image and a run look like: one model of everything shown, and its forms as HTML, SVG and text."""
