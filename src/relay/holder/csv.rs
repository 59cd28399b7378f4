//! Comma-separated values after RFC 4180, for spreadsheets.

/// One cell.
pub(super) enum Cell<'a> {
    /// Somebody's words.
    Text(&'a str),
    /// A number of ours, which may begin with a minus.
    Number(String),
}

/// Adds a line.
pub(super) fn line<'a>(out: &mut String, cells: impl IntoIterator<Item = Cell<'a>>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        match cell {
            Cell::Text(text) => push_text(out, text),
            Cell::Number(number) => out.push_str(&number),
        }
    }
    out.push_str("\r\n");
}

/// A text that a spreadsheet would run as a formula gets an apostrophe, as spreadsheets themselves mark plain text.
fn push_text(out: &mut String, text: &str) {
    let quoted = text.contains(['"', ',', '\r', '\n']);
    let quote = if quoted { "\"" } else { "" };
    let apostrophe = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    out.push_str(quote);
    out.push_str(apostrophe);
    out.push_str(&text.replace('"', "\"\""));
    out.push_str(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula_or_leaves_its_cell() {
        let mut out = String::new();
        let texts = ["plain = text", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a,b\"c", "\r=1\n"];
        line(&mut out, texts.map(Cell::Text).into_iter().chain([Cell::Number("-0.5".into())]));
        assert_eq!(out, "plain = text,'=1+1,'+1,'-1,'@SUM(A1),'\t=1,\"a,b\"\"c\",\"'\r=1\n\",-0.5\r\n");
    }
}
