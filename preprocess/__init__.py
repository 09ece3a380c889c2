"""Download, verify and tokenise corpora, one module each, and binarize them with fairseq-preprocess."""
