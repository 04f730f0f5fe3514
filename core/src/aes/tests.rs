//! The vectors were made with an independent implementation and checked with `openssl enc -d`.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "edAZR8atfOahd7tfPnVo3xpJX+ks6wsV";

/// Name, file, plain text and salt in hexadecimal digits.
const VECTORS: &[(&str, &str, &str, &str)] = &[
    ("V1-md5", "U2FsdGVkX18BAgMEBQYHCPBjFcfZbQeN8mjPNvBI+g8=\n", "6b65793a2076616c75650a", "0102030405060708"),
    ("V1-sha256", "U2FsdGVkX18BAgMEBQYHCDYUXW2YtQwz/PuBDZpKZy4=\n", "6b65793a2076616c75650a", "0102030405060708"),
    ("V2-md5", "U2FsdGVkX18BAgMEBQYHCFFp5Nm4aZ94OK8FnR+c3/8=\n", "", "0102030405060708"),
    ("V2-sha256", "U2FsdGVkX18BAgMEBQYHCFifA2vh+fQAlwISBcPOncw=\n", "", "0102030405060708"),
    (
        "V3-md5",
        "U2FsdGVkX18BAgMEBQYHCCRCiF9SvJtIqsg0kd3mZOdpC0+0InS9jkrOyYKs5MjK\n",
        "30313233343536373839616263646566",
        "0102030405060708",
    ),
    (
        "V3-sha256",
        "U2FsdGVkX18BAgMEBQYHCMUnAwoRIsyFEWmBADkkAsrztmzcsaLmCQ8JhoEoqPjS\n",
        "30313233343536373839616263646566",
        "0102030405060708",
    ),
    (
        "V4-md5",
        "U2FsdGVkX18BAgMEBQYHCEmpqrxBwfffSNYHG+K+sHeFFqxcVLIiAeYvlwrQblfm\nJ3Ew6NismHU+ob90M3qUZttQWv+DLhntUww7SoYqy/R9y3AGrXavOjV/uZx0Ue4J\n/Kha2x573HVHIRo3lFHaNg==\n",
        "736563726574206c696e652030300a736563726574206c696e652030310a736563726574206c696e652030320a736563726574206c696e652030330a736563726574206c696e652030340a736563726574206c696e652030350a",
        "0102030405060708",
    ),
    (
        "V4-sha256",
        "U2FsdGVkX18BAgMEBQYHCP41WXZ+/pEJx50JI91SHgdtwcL4yk+kkyHbdjpfT0NA\ntUp6Vf5/ejocTVMFpsdYkwkVTzLRLRkzENakzHgtLroE1sFZV+SWUqJU7a8yALqp\n0+36fNCny7EZ+vHOXMSEPQ==\n",
        "736563726574206c696e652030300a736563726574206c696e652030310a736563726574206c696e652030320a736563726574206c696e652030330a736563726574206c696e652030340a736563726574206c696e652030350a",
        "0102030405060708",
    ),
    (
        "V6-md5",
        "U2FsdGVkX18BAgMEBQYHCKXFR6IpR7LarVeN7ESXGCb0u4txXhIl4KMnRizSAq7h\n",
        "70617373776f72643a207333637233742dc3a90a",
        "0102030405060708",
    ),
    (
        "V6-sha256",
        "U2FsdGVkX18BAgMEBQYHCHpW7hsa4oSNN2jtD6C6n7I3o0j9Ms+DZ1hhNiLFU5Lp\n",
        "70617373776f72643a207333637233742dc3a90a",
        "0102030405060708",
    ),
    ("V7-md5", "U2FsdGVkX18AAAAAAAAAh1At3+0qEcRSAkJ6dYQSqrk=\n", "6b65793a2076616c75650a", "0000000000000087"),
    ("V7-sha256", "U2FsdGVkX18AAAAAAAAAI7tKqh2SL5vBVFdCOhrqko4=\n", "6b65793a2076616c75650a", "0000000000000023"),
];

/// Made with `-pbkdf2`: looks the same from outside.
const PBKDF2: &str = "U2FsdGVkX18BAgMEBQYHCFOQE6fdk3GMVJQhtuneUWE=\n";

fn token(secret: &str) -> Token {
    Token::new(secret).unwrap()
}

fn unhex(digits: &str) -> Vec<u8> {
    digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn file(name: &str) -> &'static str {
    VECTORS.iter().find(|vector| vector.0 == name).unwrap().1
}

fn open(file: impl AsRef<[u8]>) -> Result<Vec<u8>, DecryptError> {
    decrypt(&token(TOKEN), file.as_ref()).map(|decrypted| decrypted.content)
}

#[test]
fn vectors_read() {
    for (name, file, plain, _) in VECTORS {
        let derivation = if name.ends_with("md5") { Derivation::Md5 } else { Derivation::Sha256 };
        let decrypted = decrypt(&token(TOKEN), file.as_bytes()).unwrap();
        assert_eq!((decrypted.content, decrypted.derivation), (unhex(plain), derivation), "{name}");
    }
}

#[test]
fn vectors_are_written() {
    for (name, file, plain, salt) in VECTORS {
        let derivation = if name.ends_with("md5") { Derivation::Md5 } else { Derivation::Sha256 };
        let salt = unhex(salt).try_into().unwrap();
        assert_eq!(encrypt(&token(TOKEN), derivation, salt, &unhex(plain)), *file, "{name}");
    }
}

#[test]
fn any_layout_of_base64_and_the_bare_bytes_read() {
    for name in ["V1-md5", "V4-sha256", "V4-md5"] {
        let good = open(file(name)).unwrap();
        let one_line: String = file(name).split_whitespace().collect();
        let wide: Vec<&str> = one_line.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let bare = STANDARD.decode(&one_line).unwrap();
        for layout in [one_line.clone(), file(name).replace('\n', "\r\n"), format!("\n\n {one_line}\n\n"), wide.join("\n")] {
            assert_eq!(open(&layout).unwrap(), good, "{layout:?}");
        }
        assert_eq!(open(bare).unwrap(), good);
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let v1 = file("V1-md5");
    assert_eq!(decrypt(&token("wrong"), v1.as_bytes()).unwrap_err(), DecryptError::WrongToken);
    assert_eq!(open(PBKDF2).unwrap_err(), DecryptError::WrongToken);
    assert_eq!(open("").unwrap_err(), DecryptError::Empty);
    assert_eq!(open(" \n\r\n").unwrap_err(), DecryptError::Empty);
    let shorter = &v1[..v1.len() - 2];
    assert_eq!(open(shorter).unwrap_err(), DecryptError::NotBase64);
    assert_eq!(open(format!("{v1}and more!")).unwrap_err(), DecryptError::NotBase64);
    assert_eq!(open(STANDARD.encode(b"Pepper__12345678 and so on")).unwrap_err(), DecryptError::NotSalted);
    assert_eq!(open(STANDARD.encode(b"Salted__1234")).unwrap_err(), DecryptError::NotSalted);
    assert_eq!(open(b"Salted__12345678").unwrap_err(), DecryptError::Cut(0));
    assert_eq!(open(b"Salted__12345678fifteen letters").unwrap_err(), DecryptError::Cut(15));
}

#[test]
fn a_changed_ciphertext_passes_as_with_openssl() {
    // CBC has no checksum: the block is garbled, one bit of the next is wrong, and the padding is still good.
    let mut bytes = STANDARD.decode(file("V4-sha256").split_whitespace().collect::<String>()).unwrap();
    bytes[16] ^= 1;
    let (changed, good) = (open(bytes).unwrap(), open(file("V4-sha256")).unwrap());
    assert_eq!(changed.len(), good.len());
    assert_ne!(changed[..16], good[..16]);
    assert_eq!((changed[16], &changed[17..]), (good[16] ^ 1, &good[17..]));
}

#[test]
fn secrets_do_not_print() {
    let printed = format!("{:?}", decrypt(&token(TOKEN), file("V1-md5").as_bytes()));
    assert_eq!(printed, "Ok(Decrypted(Md5, 11 bytes))");
}

#[test]
fn both_readable_goes_by_the_padding() {
    let candidate = |derivation, content: &[u8]| Some(Decrypted { content: content.to_vec(), derivation });
    let chosen = choose([candidate(Derivation::Sha256, b"fifteen letters"), candidate(Derivation::Md5, b"short")]);
    assert_eq!(chosen.unwrap().derivation, Derivation::Md5);
    let garbage = choose([candidate(Derivation::Sha256, b"\xff"), candidate(Derivation::Md5, b"\0")]);
    assert_eq!(garbage, Err(DecryptError::Ambiguous));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(content: Vec<u8>, text in ".*", salt: [u8; 8], md5: bool) {
        let derivation = if md5 { Derivation::Md5 } else { Derivation::Sha256 };
        for content in [content, text.into_bytes()] {
            let file = encrypt(&token(TOKEN), derivation, salt, &content);
            prop_assert!(file.lines().all(|line| line.len() <= 64) && file.ends_with('\n'));
            // Once in 255 files the other digest fits too; content that is no text may then be ambiguous, text never is.
            if is_text(&content) {
                prop_assert_eq!(open(&file).unwrap(), content);
            }
        }
    }

    #[test]
    fn any_bytes_are_an_answer_not_a_panic(bytes: Vec<u8>, tail: Vec<u8>) {
        let _ = open(&bytes);
        let _ = open([MAGIC, &tail[..]].concat());
        let _ = open(STANDARD.encode([MAGIC, &tail[..]].concat()));
    }
}
