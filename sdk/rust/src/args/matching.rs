//! Telling switches from plain words.

use super::Usage;

/// A word of the command line, as far as it can be told without what stands around it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'a> {
    Plain(&'a str),
    Switch(Matching<'a>),
    /// Looks like a switch, and is none of the tool's.
    Unknown(&'a str),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Matching<'a> {
    /// Its place in the tool's list.
    pub(super) switch: usize,
    /// What is attached to it: `5` in `-t5`, `-t=5`, `--timeout=5`; `d` in `-jd`.
    pub(super) attached: Option<&'a str>,
    /// Written with one dash.
    pub(super) is_short: bool,
}

/// Tells what each word is. What stands behind `--` is plain.
pub(super) fn classify<'a>(usage: &Usage, words: &[&'a str]) -> Result<Vec<Word<'a>>, String> {
    let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let mut told = words[..end].iter().map(|word| tell(usage, word)).collect::<Result<Vec<_>, _>>()?;
    told.extend(words[end..].iter().skip(1).map(|word| Word::Plain(word)));
    Ok(told)
}

fn tell<'a>(usage: &Usage, word: &'a str) -> Result<Word<'a>, String> {
    if !word.starts_with('-') || word == "-" {
        return Ok(Word::Plain(word));
    }
    let is_short = !word.starts_with("--");
    if let Some(switch) = exactly(usage, word) {
        return Ok(Word::Switch(Matching { switch, attached: None, is_short }));
    }
    if let Some((spelling, value)) = word.split_once('=')
        && let Some(switch) = exactly(usage, spelling)
    {
        return Ok(Word::Switch(Matching { switch, attached: Some(value), is_short }));
    }
    let found = if is_short { by_letter(usage, word) } else { by_prefix(usage, word)? };
    Ok(match found {
        Some(matching) => Word::Switch(matching),
        None if is_number(word) || word.contains(' ') => Word::Plain(word),
        None => Word::Unknown(word),
    })
}

fn exactly(usage: &Usage, spelling: &str) -> Option<usize> {
    usage.switches.iter().position(|switch| switch.spellings.contains(&spelling))
}

/// `-t5`, `-jd`: the first letter decides.
fn by_letter<'a>(usage: &Usage, word: &'a str) -> Option<Matching<'a>> {
    let letter = word.chars().nth(1)?;
    let (spelling, rest) = word.split_at(1 + letter.len_utf8());
    let switch = exactly(usage, spelling)?;
    Some(Matching { switch, attached: Some(rest), is_short: true })
}

/// `--for` is `--force` as long as no other switch begins like that.
fn by_prefix<'a>(usage: &Usage, word: &'a str) -> Result<Option<Matching<'a>>, String> {
    let (prefix, attached) = word.split_once('=').map_or((word, None), |(prefix, value)| (prefix, Some(value)));
    let candidates: Vec<(usize, &str)> = usage
        .switches
        .iter()
        .enumerate()
        .flat_map(|(nth, switch)| switch.spellings.iter().map(move |spelling| (nth, *spelling)))
        .filter(|(_, spelling)| spelling.starts_with(prefix))
        .collect();
    match candidates.as_slice() {
        [] => Ok(None),
        [(switch, _)] => Ok(Some(Matching { switch: *switch, attached, is_short: false })),
        several => {
            let spellings: Vec<&str> = several.iter().map(|(_, spelling)| *spelling).collect();
            Err(format!("ambiguous option: {word} could match {}", spellings.join(", ")))
        }
    }
}

/// `-3` and `-.5` are values.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let number = &word[1..];
    match number.split_once('.') {
        None => !number.is_empty() && digits(number),
        Some((whole, part)) => digits(whole) && !part.is_empty() && digits(part),
    }
}
