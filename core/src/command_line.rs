//! Command lines: cut into words by the quoting rules of a POSIX shell, without running one.
//!
//! `;`, `|`, `&`, `>`, `$`, backquotes, `*` and `~` are ordinary characters here.

/// Why a line cannot be cut into words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A quote is opened and never closed.
    #[error("the quote {quote} at character {at} is never closed")]
    OpenQuote {
        /// `'` or `"`.
        quote: char,
        /// Its place in the line, from 1.
        at: usize,
    },
    /// A backslash ends the line.
    #[error("the line ends with a backslash that quotes nothing")]
    OpenBackslash,
}

/// Cuts a line into words: blanks separate, `'...'`, `"..."` and `\x` quote, `#` at the start of a word begins a comment.
///
/// # Errors
/// Where a quote or a backslash at the end stays open.
pub fn split(line: &str) -> Result<Vec<String>, CommandLineError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\\' => {
                let (_, quoted) = chars.next().ok_or(CommandLineError::OpenBackslash)?;
                word.get_or_insert_default().push(quoted);
            }
            '\'' | '"' => read_quoted(c, at + 1, &mut chars, word.get_or_insert_default())?,
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn read_quoted(
    quote: char,
    at: usize,
    chars: &mut impl Iterator<Item = (usize, char)>,
    word: &mut String,
) -> Result<(), CommandLineError> {
    while let Some((_, c)) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next() {
                Some((_, c @ ('"' | '\\' | '$' | '`'))) => word.push(c),
                Some((_, other)) => word.extend(['\\', other]),
                None => break,
            },
            other => word.push(other),
        }
    }
    Err(CommandLineError::OpenQuote { quote, at })
}

/// Writes words so that [`split`] gives them back; a word that needs no quotes gets none.
#[must_use]
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@%+=:,./-_*?[]!~^{}".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, words: &[&str]) {
        assert_eq!(split(line).unwrap(), words, "{line}");
    }

    #[test]
    fn words() {
        check("", &[]);
        check("  ls\t -j ", &["ls", "-j"]);
        check(r#"exec web 'a  b' "c \"d\"" e\ f"#, &["exec", "web", "a  b", "c \"d\"", "e f"]);
        check("a'b'\"c\"d", &["abcd"]);
        check("'' \"\"", &["", ""]);
        check("ls # what", &["ls"]);
        check("a#b", &["a#b"]);
        check(r#""\n""#, &["\\n"]);
        check("kill *; rm -rf $HOME `x` > y | z & ~", &["kill", "*;", "rm", "-rf", "$HOME", "`x`", ">", "y", "|", "z", "&", "~"]);
    }

    #[test]
    fn what_stays_open_is_told() {
        let text = |line| split(line).unwrap_err().to_string();
        assert_eq!(text("a 'b"), "the quote ' at character 3 is never closed");
        assert_eq!(text("\"a\\"), "the quote \" at character 1 is never closed");
        assert_eq!(text("a\\"), "the line ends with a backslash that quotes nothing");
    }

    proptest! {
        #[test]
        fn joined_words_are_split_again(words in prop::collection::vec(".*", 0..5)) {
            prop_assert_eq!(split(&join(&words)).unwrap(), words);
        }

        #[test]
        fn any_line_is_an_answer_not_a_panic(line in ".*") {
            let _ = split(&line);
        }
    }
}
