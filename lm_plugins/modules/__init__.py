"""Layers, dropouts and output layers as nn.Module; torch and lm_plugins.ops only, never fairseq."""
