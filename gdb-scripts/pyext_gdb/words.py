"""Text of a command line that quotes and brackets hold together."""


def end(text, stop):
    """Where `stop` first stands in `text` outside of quotes and brackets, or the end of the text.

    None if a quote or a bracket is still open there.
    """
    quote, depth, escaped = "", 0, False
    for i, c in enumerate(text):
        if escaped or c == "\\":
            escaped = not escaped
        elif quote or c in "'\"":
            quote = "" if c == quote else quote or c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == stop and depth <= 0:
            return i
    return None if quote or depth > 0 else len(text)


def first(text):
    """The first word of `text`, and the rest. A blank in quotes or brackets is a part of the word."""
    size = end(text, " ")
    if size is None:
        size = (text + " ").index(" ")
    word, rest = text[:size], text[size:].lstrip()
    if len(word) > 1 and word[0] in "'\"" and end(word[1:-1], word[0]) == len(word) - 2 and word[-1] == word[0]:
        word = word[1:-1]
    return word, rest


def parts(text):
    """What the commas in `text` separate that are in no quotes and brackets."""
    found = []
    while text:
        size = end(text, ",")
        size = len(text) if size is None else size
        found.append(text[:size].strip())
        text = text[size + 1 :]
    return [one for one in found if one]
