//! What a component says about itself: custom sections of the component model's tools, behind all others.

use ocho_core::tools::Metadata;

/// Adds what is known and not there yet. Something that does not begin as a component stays as it is.
pub(super) fn add(mut wasm: Vec<u8>, metadata: &Metadata) -> Vec<u8> {
    let Some(there) = section_names(&wasm) else { return wasm };
    let is_new = |name: &str| !there.iter().any(|other| other == name);
    if let Some(name) = metadata.name.as_ref().filter(|_| is_new("component-name")) {
        // Subsection 0 holds the name of the component itself.
        let text = with_length(name.as_bytes());
        let payload = [vec![0], number(text.len()), text].concat();
        wasm.extend(section("component-name", &payload));
    }
    let texts = [
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("authors", &metadata.authors),
        ("licenses", &metadata.licenses),
        ("source", &metadata.source),
        ("revision", &metadata.revision),
        ("homepage", &metadata.homepage),
    ];
    for (name, text) in texts {
        if let Some(text) = text.as_ref().filter(|_| is_new(name)) {
            wasm.extend(section(name, text.as_bytes()));
        }
    }
    wasm
}

/// A custom section: its kind, its length, its name, its content.
fn section(name: &str, payload: &[u8]) -> Vec<u8> {
    let content = [with_length(name.as_bytes()), payload.to_vec()].concat();
    [vec![0], with_length(&content)].concat()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len()), bytes.to_vec()].concat()
}

/// LEB128, seven bits in a byte, the lowest first.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit");
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The names of the custom sections at the top of a component; none of anything else.
fn section_names(wasm: &[u8]) -> Option<Vec<String>> {
    let mut rest = wasm.strip_prefix(b"\0asm\x0d\0\x01\0")?;
    let mut names = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        let (length, after) = read_number(after)?;
        let content = after.get(..length)?;
        if *kind == 0 {
            let (length, text) = read_number(content)?;
            names.push(String::from_utf8_lossy(text.get(..length)?).into_owned());
        }
        rest = &after[length..];
    }
    Some(names)
}

fn read_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ocho_runtime::ComponentReport;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn metadata(description: &str) -> Metadata {
        let text = |text: &str| Some(text.to_owned());
        Metadata { name: text("hello"), version: text("0.1.0"), description: text(description), ..Metadata::default() }
    }

    #[test]
    fn it_reads_back() {
        for description in ["short", &"long ".repeat(700)] {
            let wasm = add(EMPTY.to_vec(), &metadata(description));
            let read = ComponentReport::read(&wasm).unwrap().metadata;
            assert_eq!(read, metadata(description.trim_end()));
            assert_eq!(add(wasm.clone(), &metadata("other")), wasm, "what is there stays");
        }
    }

    #[test]
    fn what_is_no_component_stays_as_it_is() {
        for bytes in [
            &b""[..],
            b"\0asm\x01\0\0\0",
            b"garbage",
            b"\0asm\x0d\0\x01\0\0",
            b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\x0f",
            &[0xff; 64],
        ] {
            assert_eq!(add(bytes.to_vec(), &metadata("x")), bytes);
        }
        let whole = add(EMPTY.to_vec(), &metadata("x"));
        for end in EMPTY.len() + 1..whole.len() {
            // A part may be whole by chance, and then it grows; it never breaks.
            let _ = add(whole[..end].to_vec(), &metadata("x"));
        }
    }
}
