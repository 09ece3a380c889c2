"""Corpora, one module each: get, verify and tokenise the text that fairseq-preprocess binarizes."""
