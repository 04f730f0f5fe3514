//! Jute, ZooKeeper's serialisation: its primitive values, read from and written to bytes.
//!
//! Big-endian numbers; texts and buffers carry a signed length in front, where -1 means absent. A reader never
//! allocates more than what it was given, whatever length the input claims.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

/// Why some bytes are not the record that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JuteError {
    #[error("record ends early: `{wanted}` more bytes wanted, `{left}` left")]
    Truncated { wanted: usize, left: usize },
    #[error("length `{0}` is negative")]
    NegativeLength(i32),
    #[error("a text is absent where one is needed")]
    Absent,
    #[error("operation `{0}` cannot be part of a list")]
    UnknownPart(i32),
}

/// Reads values one after the other; what follows the last one is ignored, as the original does.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, wanted: usize) -> Result<&'a [u8], JuteError> {
        let left = self.rest.len();
        let (taken, rest) = self.rest.split_at_checked(wanted).ok_or(JuteError::Truncated { wanted, left })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JuteError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("`take` gives as many bytes as asked for"))
    }

    pub(super) fn bool(&mut self) -> Result<bool, JuteError> {
        Ok(self.array::<1>()?[0] != 0)
    }

    pub(super) fn int(&mut self) -> Result<i32, JuteError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Result<i64, JuteError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A length: `None` for -1.
    fn length(&mut self) -> Result<Option<usize>, JuteError> {
        match self.int()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| JuteError::NegativeLength(length)),
        }
    }

    pub(super) fn buffer(&mut self) -> Result<Option<Bytes>, JuteError> {
        let Some(length) = self.length()? else { return Ok(None) };
        Ok(Some(Bytes::copy_from_slice(self.take(length)?)))
    }

    /// A text that must be there. Bytes that are no UTF-8 become U+FFFD, as in Java, which no valid path holds.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, JuteError> {
        self.text_or_absent()?.ok_or(JuteError::Absent)
    }

    /// A text where absent means something too.
    pub(super) fn text_or_absent(&mut self) -> Result<Option<Cow<'a, str>>, JuteError> {
        let Some(length) = self.length()? else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?)))
    }

    /// A list; an absent one reads as empty.
    pub(super) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, JuteError>) -> Result<Vec<T>, JuteError> {
        let count = self.length()?.unwrap_or(0);
        // No capacity is reserved: the count is what the sender claims, the bytes are what it pays for.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(one(self)?);
        }
        Ok(items)
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, JuteError> {
        self.list(|reader| reader.text().map(Cow::into_owned))
    }
}

/// Appends values to a buffer.
pub(super) struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.out.put_u8(u8::from(value));
    }

    pub(super) fn int(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    pub(super) fn long(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// What fits the limits of the tree fits a length of 31 bits by far.
    fn length(&mut self, length: usize) {
        self.int(i32::try_from(length).expect("records are far below 2 GiB"));
    }

    pub(super) fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.out.put_slice(bytes);
            }
        }
    }

    pub(super) fn text(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        for item in items {
            one(self, item);
        }
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, items: &[T]) {
        self.list(items, |writer, item| writer.text(item.as_ref()));
    }
}

/// Appends one frame to `out`: a length, then what `fill` writes.
pub(super) fn put_frame(out: &mut BytesMut, fill: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.put_i32(0);
    fill(&mut Writer::new(out));
    let length = i32::try_from(out.len() - start - 4).expect("records are far below 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(fill: impl FnOnce(&mut Writer<'_>)) -> BytesMut {
        let mut out = BytesMut::new();
        fill(&mut Writer::new(&mut out));
        out
    }

    #[test]
    fn absent_and_empty_buffers_differ() {
        let bytes = written(|writer| {
            writer.buffer(None);
            writer.buffer(Some(b""));
        });
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.buffer(), Ok(Some(Bytes::new())));
        assert!(reader.is_empty());
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).buffer(), Err(JuteError::Truncated { wanted: 0x7fff_ffff, left: 0 }));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xfe]).buffer(), Err(JuteError::NegativeLength(-2)));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).text(), Err(JuteError::Absent));
        assert!(Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0]).texts().is_err());
    }

    #[test]
    fn a_frame_carries_its_length() {
        let mut out = BytesMut::new();
        put_frame(&mut out, |writer| writer.text("ab"));
        assert_eq!(&out[..], [0, 0, 0, 6, 0, 0, 0, 2, b'a', b'b']);
    }

    proptest! {
        #[test]
        fn values_read_back(int: i32, long: i64, flag: bool, text in ".*", buffer: Option<Vec<u8>>, texts: Vec<String>) {
            let bytes = written(|writer| {
                writer.int(int);
                writer.long(long);
                writer.bool(flag);
                writer.text(&text);
                writer.buffer(buffer.as_deref());
                writer.texts(&texts);
            });
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.int(), Ok(int));
            prop_assert_eq!(reader.long(), Ok(long));
            prop_assert_eq!(reader.bool(), Ok(flag));
            prop_assert_eq!(reader.text(), Ok(text.into()));
            prop_assert_eq!(reader.buffer(), Ok(buffer.map(Bytes::from)));
            prop_assert_eq!(reader.texts(), Ok(texts));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes).texts();
            let _ = Reader::new(&bytes).buffer();
            let _ = Reader::new(&bytes).text();
            let _ = Reader::new(&bytes).long();
        }
    }
}
