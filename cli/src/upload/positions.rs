//! Which words of a command line may name files of this machine.
//!
//! A word is never a file because a file of that name happens to lie around: `deploy web.yml -n dev` does not send the
//! folder `dev`. A standard tool says where its files stand; for any other tool a file is spelled as a path.

/// The standard tools that take no files at all.
const WITHOUT_FILES: [&str; 12] = ["bump", "grep", "help", "kill", "log", "ls", "off", "on", "poll", "port", "reset", "scale"];

/// What a word may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Never a file.
    Plain,
    /// A file or a folder, from this byte of the word on (an option may stand before it: `-oextra.yml`).
    File { from: usize },
    /// A file or a folder if it is spelled as a path: `./ ../ / ~/`.
    Path,
}

/// The position of each word. The first one is the tool's name.
pub(crate) fn positions(words: &[String]) -> Vec<Position> {
    let Some((tool, rest)) = words.split_first() else { return Vec::new() };
    let rest = match tool.as_str() {
        "deploy" => of_deploy(rest),
        "exec" => of_exec(rest),
        tool if WITHOUT_FILES.contains(&tool) => vec![Position::Plain; rest.len()],
        _ => vec![Position::Path; rest.len()],
    };
    [Position::Plain].into_iter().chain(rest).collect()
}

/// Whether a word is spelled as a path.
pub(crate) fn is_path(word: &str) -> bool {
    ["./", "../", "/", "~/"].iter().any(|start| word.starts_with(start))
}

/// `deploy` takes files wherever no option takes the word: as definitions and after `-o`.
fn of_deploy(words: &[String]) -> Vec<Position> {
    let mut taken_by_option = false;
    let mut only_files = false;
    let mut position = |word: &String| {
        if std::mem::take(&mut taken_by_option) {
            return Position::Plain;
        }
        if only_files || !is_option(word) {
            return Position::File { from: 0 };
        }
        if word == "--" {
            only_files = true;
            return Position::Plain;
        }
        match deploy_option(word) {
            Takes::Nothing => Position::Plain,
            Takes::NextWord => {
                taken_by_option = true;
                Position::Plain
            }
            Takes::FileFrom(from) => Position::File { from },
        }
    };
    words.iter().map(&mut position).collect()
}

enum Takes {
    Nothing,
    /// A value that is no file.
    NextWord,
    /// The rest of the same word is a file.
    FileFrom(usize),
}

fn deploy_option(word: &str) -> Takes {
    const VALUED: [&str; 5] = ["--namespace", "--pods", "--release", "--suffix", "--timeout"];
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, _)) if is_abbreviation(name, "--overrides") => Takes::FileFrom(name.len() + 1),
            None if VALUED.iter().any(|option| is_abbreviation(word, option)) => Takes::NextWord,
            _ => Takes::Nothing,
        };
    }
    for (at, letter) in word.char_indices().skip(1) {
        let value_at = at + letter.len_utf8();
        match letter {
            'j' | 'd' | 'h' => {}
            'o' if value_at < word.len() => {
                let equals = usize::from(word[value_at..].starts_with('='));
                return Takes::FileFrom(value_at + equals);
            }
            'n' | 'p' | 'r' | 's' | 't' if value_at == word.len() => return Takes::NextWord,
            _ => return Takes::Nothing,
        }
    }
    Takes::Nothing
}

/// `exec <cluster> <tool> <words...>`: the words that the pod's tool gets. The cluster and the tool's name are no files.
fn of_exec(words: &[String]) -> Vec<Position> {
    let mut before = Before::Anything;
    let mut plain_words = 0;
    let mut position = |word: &String| {
        let taken = match before {
            Before::Anything => false,
            Before::Value => true,
            Before::Indices => word.parse::<u64>().is_ok(),
        };
        if taken {
            if matches!(before, Before::Value) {
                before = Before::Anything;
            }
            return Position::Plain;
        }
        before = Before::Anything;
        if is_option(word) {
            before = exec_option(word);
            return Position::Plain;
        }
        plain_words += 1;
        match plain_words {
            1 => Position::Plain,
            2 => Position::Path,
            _ => Position::File { from: 0 },
        }
    };
    words.iter().map(&mut position).collect()
}

/// What the option before a word makes of it.
enum Before {
    Anything,
    /// `-t`: its value.
    Value,
    /// `-i`: every number that follows.
    Indices,
}

fn exec_option(word: &str) -> Before {
    match word {
        "-i" => Before::Indices,
        "-t" => Before::Value,
        long if is_abbreviation(long, "--indices") => Before::Indices,
        long if is_abbreviation(long, "--timeout") => Before::Value,
        _ => Before::Anything,
    }
}

fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

/// Whether `word` is `option` or a beginning of it that has at least a letter.
fn is_abbreviation(word: &str, option: &str) -> bool {
    word.len() > 2 && option.starts_with(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows a line with each file position in `<>` and each path position in `()`.
    #[track_caller]
    fn check(shown: &str) {
        let line = shown.replace(['<', '>', '(', ')'], "");
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let again: Vec<String> = words
            .iter()
            .zip(positions(&words))
            .map(|(word, position)| match position {
                Position::Plain => word.clone(),
                Position::Path => format!("({word})"),
                Position::File { from } => format!("{}<{}>", &word[..from], &word[from..]),
            })
            .collect();
        assert_eq!(again.join(" "), shown);
    }

    #[test]
    fn q35_deploy_sends_definitions_and_overrides() {
        check("deploy <a.yml> <b.yml>");
        check("deploy <a.yml> -n dev -p 3 -o <x.yml> <y.yml> --strict <c.yml>");
        check("deploy -jn dev <a.yml> -o<x.yml> -o=<y.yml> -p3 -t=5 <b.yml>");
        check("deploy --namespace dev --suf x --overrides=<x.yml> --over <y.yml> --pods=3 <a.yml>");
        check("deploy --dry-run <a.yml> -- <-n> <b.yml>");
        check("deploy <-> -r");
    }

    #[test]
    fn q35_exec_sends_words_of_the_command() {
        check("exec web --force (run) <folder> <a.py> --fast <x>");
        check("exec -i 1 2 web (run) <a> -t 5 <b> -t=5 <c>");
        check("exec web (run) <x> -i 1");
        check("exec --ind 1 web (run) --time 5 <x>");
    }

    #[test]
    fn q35_other_tools_send_paths() {
        check("grep ./web.yml");
        check("kill dev --force");
        check("help /etc/passwd");
        check("mine (./a) (dev) (-x)");
    }

    #[test]
    fn paths() {
        for (word, path) in
            [("./a", true), ("../a", true), ("/a", true), ("~/a", true), ("a/b", false), (".", false), ("~", false)]
        {
            assert_eq!(is_path(word), path, "{word}");
        }
    }
}
