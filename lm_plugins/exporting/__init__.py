"""A trained model as an ONNX file, which onnxruntime runs without torch and fairseq."""
