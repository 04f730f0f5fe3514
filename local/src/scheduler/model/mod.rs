//! What the scheduler knows, as plain values: no I/O and no clock of its own.

pub(crate) mod app;
pub(crate) mod backoff;
pub(crate) mod group;
pub(crate) mod id;
pub(crate) mod shared;
pub(crate) mod task;
pub(crate) mod time;

/// A random identifier in the usual form.
pub(crate) fn uuid() -> String {
    let random: [u8; 16] = rand::random();
    let bits = (u128::from_be_bytes(random) & !(0xF << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Whether a text has the form of such an identifier.
pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_random_and_of_version_4() {
        let (one, other) = (uuid(), uuid());
        assert!(is_uuid(&one) && one != other);
        assert_eq!(&one[14..15], "4");
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"));
        assert!(!is_uuid("bar") && !is_uuid(""));
    }
}
