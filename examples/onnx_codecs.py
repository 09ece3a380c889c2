"""Convert a line of text to its symbols and back, for each level of text that an exported model can have.

White space other than a space is not supported here; lm_plugins/data/text_codec.py has the full definition.
"""

SPACE = "\u2581"  # stands for a space


def pieces(line, model):
    import sentencepiece  # for this level only

    return sentencepiece.SentencePieceProcessor(model_file=model).encode(line, out_type=str)


def text_of_bytes(symbols):
    return bytes(int(symbol) for symbol in symbols if symbol.isdecimal()).decode(errors="replace")


def encode(level, line, sentencepiece_model=None):
    """Return the symbols of a line."""
    if level == "sentencepiece":
        return pieces(line, sentencepiece_model)
    if level == "word":
        return line.split()
    if level == "byte":
        return [str(byte) for byte in line.encode()]
    return list(line.replace(" ", "_" if level == "underscore" else SPACE))


def decode(level, symbols):
    """Return the line of text for some symbols."""
    if level == "word":
        return " ".join(symbols)
    if level == "byte":
        return text_of_bytes(symbols)
    line = "".join(symbols).replace("_" if level == "underscore" else SPACE, " ")
    return line.strip() if level == "sentencepiece" else line
