"""The Canvas engine: pictures from a JSON document of layers, drawn by one fixed Typst program (docs/canvas.md)."""
