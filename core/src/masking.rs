//! Secrets in JSON: what stands under a key that looks like a secret's is masked before a plugin or a log sees it.

use serde_json::Value;

/// What stands in a secret's place.
pub const MASK: &str = "******";

const WORDS: [&str; 9] =
    ["token", "secret", "password", "passwd", "passphrase", "credential", "api_key", "apikey", "private_key"];

/// Whether a key names a secret. An empty value under it stays as it is, since "no token" is no secret.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    WORDS.iter().any(|word| key.contains(word))
}

/// Masks every value under a key that looks like a secret's, at any depth.
pub fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if is_secret_key(key) { hide(member) } else { mask(member) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if text.contains("://") => *text = without_user_info(text),
        _ => {}
    }
}

/// Masks the words of a command line that hold a secret: `--token=x`, `token=x`, `token:x`, and the word behind `--token`.
#[must_use]
pub fn mask_words<S: AsRef<str>>(words: &[S]) -> Vec<String> {
    let mut masked = Vec::with_capacity(words.len());
    let mut names_the_next = false;
    for word in words.iter().map(AsRef::as_ref) {
        let option = word.trim_start_matches('-');
        masked.push(match option.split_once(['=', ':']) {
            _ if names_the_next => MASK.to_owned(),
            Some((key, value)) if is_secret_key(key) => format!("{}{MASK}", &word[..word.len() - value.len()]),
            _ => word.to_owned(),
        });
        names_the_next = !names_the_next && word.starts_with('-') && is_secret_key(option) && !option.contains(['=', ':']);
    }
    masked
}

fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if text.is_empty() => {}
        other => *other = Value::String(MASK.to_owned()),
    }
}

/// Takes `user:password@` out of each URL of a text, such as a list of masters.
fn without_user_info(text: &str) -> String {
    let mut urls = text.split("://");
    let mut masked = urls.next().unwrap_or_default().to_owned();
    for rest in urls {
        let authority_end = rest.find(['/', '?', '#', ',']).unwrap_or(rest.len());
        masked.push_str("://");
        match rest[..authority_end].rfind('@') {
            Some(at) if rest[..at].contains(':') => {
                masked.push_str(MASK);
                masked.push_str(&rest[at..]);
            }
            _ => masked.push_str(rest),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masks_words() {
        let words = ["exec", "web", "--token=x", "db_password:y", "--secret", "z", "--force", "a=b"];
        let masked = ["exec", "web", "--token=******", "db_password:******", "--secret", MASK, "--force", "a=b"];
        assert_eq!(mask_words(&words), masked);
    }

    #[test]
    fn masks_by_key_at_any_depth() {
        let mut value = json!({
            "token": "s3cret", "cluster": "web", "ochopod_Token": "x", "deep": [{"db-password": {"a": 1}}],
            "no": {"token": ""}, "flag": {"secret": true}, "zk": "zk://user:pw@h:1/x", "url": "http://h/a@b:c",
            "masters": "http://u:pw@m1:8080,http://v:pw@m2:8080/x"
        });
        mask(&mut value);
        assert_eq!(
            value,
            json!({
                "token": MASK, "cluster": "web", "ochopod_Token": MASK, "deep": [{"db-password": MASK}],
                "no": {"token": ""}, "flag": {"secret": true}, "zk": "zk://******@h:1/x", "url": "http://h/a@b:c",
                "masters": "http://******@m1:8080,http://******@m2:8080/x"
            })
        );
    }
}
