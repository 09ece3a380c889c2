"""Layers, dropouts and output layers as nn.Module; with torch and lm_plugins.ops, without fairseq."""
