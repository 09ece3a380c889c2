"""Export of a trained model to an ONNX file, which onnxruntime runs without torch and fairseq."""
