//! Room for bodies that are held before anybody has vouched for them: strangers can make the host hold so much, and no more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all bodies of one kind may take together. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// The part of one body, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Room,
    places: Option<OwnedSemaphorePermit>,
}

/// The others have taken all of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Room {
    /// So many KiB.
    pub(crate) fn of_kib(kib: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// For a body of which nothing has come yet.
    pub(crate) fn begin(&self) -> Held {
        Held { room: self.clone(), places: None }
    }
}

impl Held {
    /// Takes what a body of so many bytes lacks. A piece may be a single byte, so what counts is all that has come.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Full> {
        let missing = bytes.div_ceil(1024).saturating_sub(self.places.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| Full)?;
        let more = self.room.0.clone().try_acquire_many_owned(missing).map_err(|_| Full)?;
        match &mut self.places {
            Some(places) => places.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_it_whatever_their_pieces() {
        let room = Room::of_kib(2);
        let (mut one, mut other) = (room.begin(), room.begin());
        assert!((0..=1024).all(|bytes| one.cover(bytes).is_ok()), "one place for a KiB in a thousand pieces");
        assert_eq!((other.cover(1025), other.cover(1024), one.cover(1025)), (Err(Full), Ok(()), Err(Full)));
        drop(other);
        assert_eq!((one.cover(2048), one.cover(2049), one.cover(usize::MAX)), (Ok(()), Err(Full), Err(Full)));
    }
}
