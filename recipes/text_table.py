"""Write tables of text for a terminal."""


def aligned(lines: list[list[str]]) -> str:
    """Return a table whose first column is flush left and whose others are flush right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(cells)
        )
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    )
