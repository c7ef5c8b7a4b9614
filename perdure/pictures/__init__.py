"""Pictures of graphs: where each node is drawn, and the drawing, without a browser."""
