"""Export: a model as ONNX graphs, one for each layer and exit, and one for single rows."""
