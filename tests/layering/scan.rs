//! Reads Rust as text, well enough to find imports, functions and test-only items.

/// The text with comments, literals and test-only items blanked, and the names of test-only modules in files.
pub(crate) fn clean(text: &str) -> (String, Vec<String>) {
    let mut code = blank_literals(text);
    let mut modules = Vec::new();
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = item_end(&code, start);
        if let [.., "mod", name, ";"] = tokens(&code[start..end]).as_slice() {
            modules.push((*name).to_owned());
        }
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    (code, modules)
}

/// Where the item ends that begins at `start`: behind its `;`, or behind the brace that closes its first.
fn item_end(code: &str, start: usize) -> usize {
    let mut open = 0_usize;
    for (at, c) in code[start..].char_indices() {
        let end = start + at + 1;
        match c {
            '{' | '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            '}' if open == 1 => return end,
            '}' => open = open.saturating_sub(1),
            ';' if open == 0 => return end,
            _ => {}
        }
    }
    code.len()
}

fn blank_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = literal_length(rest, in_word);
        let taken = if length == 0 { first.len_utf8() } else { length };
        let (now, later) = rest.split_at(taken);
        if length == 0 {
            code.push(first);
        } else {
            code.extend(now.chars().map(|c| if c == '\n' { c } else { ' ' }));
        }
        rest = later;
    }
    code
}

/// How long the comment or literal is that the text begins with; 0 when it begins with neither.
fn literal_length(text: &str, in_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    if let Some(inner) = text.strip_prefix('\'') {
        let lifetime = !inner.starts_with('\\') && inner.chars().nth(1) != Some('\'');
        return if lifetime { 0 } else { quoted_length(text, '\'') };
    }
    if in_word { 0 } else { raw_string_length(text) }
}

fn raw_string_length(text: &str) -> usize {
    let Some(raw) = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r') else {
        return 0;
    };
    let unhashed = raw.trim_start_matches('#');
    let Some(body) = unhashed.strip_prefix('"') else {
        return 0;
    };
    let closing = format!("\"{}", "#".repeat(raw.len() - unhashed.len()));
    let opening = text.len() - body.len();
    opening + body.find(&closing).map_or(body.len(), |at| at + closing.len())
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Names, `::`, and single other characters.
pub(crate) fn tokens(code: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if is_name(c) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The lines of each function with a body, from `fn` to its closing brace.
pub(crate) fn function_lines(code: &str) -> Vec<usize> {
    let starts = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    let bodies = starts.map(|(at, _)| &code[at..item_end(code, at)]).filter(|item| item.ends_with('}'));
    bodies.map(|item| item.lines().count()).collect()
}

pub(crate) fn count_unwraps(code: &str) -> usize {
    tokens(code).windows(3).filter(|three| matches!(three, [".", "unwrap" | "expect", "("])).count()
}

pub(crate) fn percentile(numbers: &[usize], percent: usize) -> usize {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
