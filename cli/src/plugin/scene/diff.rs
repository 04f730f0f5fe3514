//! The difference of two texts, line by line.

/// No table gets larger than this; longer texts are shown one after the other.
const LINES_MOST: usize = 2_000;

/// Lines that only `expected` has after `-`, lines that only `got` has after `+`, the others after a blank.
pub(crate) fn lines(expected: &str, got: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (split(expected), split(got));
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (head, old, new) = (&old[..same], &old[same..], &new[same..]);
    let mut shown: Vec<String> = head.iter().map(|line| format!("  {line}")).collect();
    if old.len() > LINES_MOST || new.len() > LINES_MOST {
        shown.extend(old.iter().map(|line| format!("- {line}")));
        shown.extend(new.iter().map(|line| format!("+ {line}")));
        return shown;
    }
    let common = common(old, new);
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            shown.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            shown.push(format!("- {}", old[i]));
            i += 1;
        } else {
            shown.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    shown
}

/// For each pair of rests, how many lines they have in common.
fn common(old: &[&str], new: &[&str]) -> Vec<Vec<u32>> {
    let mut table = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i][j] = if old[i] == new[j] { table[i + 1][j + 1] + 1 } else { table[i + 1][j].max(table[i][j + 1]) };
        }
    }
    table
}

/// Lines; a missing line end shows.
fn split(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut lines: Vec<&str> = text.split('\n').collect();
    match lines.last() {
        Some(&"") => drop(lines.pop()),
        _ => lines.push("(no line end)"),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_that_differ() {
        assert_eq!(lines("a\nb\nc\n", "a\nx\nc\n"), ["  a", "- b", "+ x", "  c"]);
        assert_eq!(lines("", "a\n"), ["+ a"]);
        assert_eq!(lines("a\n", "a"), ["  a", "+ (no line end)"]);
        assert_eq!(lines("a\nb\n", "b\n"), ["- a", "  b"]);
        assert_eq!(lines(&"x\n".repeat(3000), "y\n").len(), 3001);
    }
}
