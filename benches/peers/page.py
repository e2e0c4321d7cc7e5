"""Pages of which one part is measured: what stands between two marks is written anew, the rest by hand."""


def put(page, text, what="measured"):
    """Puts the text between the page's marks of that name."""
    begin, end = f"<!-- {what}: begin -->", f"<!-- {what}: end -->"
    old = page.read_text()
    before, after = old.split(begin)[0], old.split(end)[1]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
