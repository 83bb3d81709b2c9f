use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What waits to be sent: so many at most, the rest is counted and gone.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: Mutex<Vec<T>>,
    most: usize,
    dropped: AtomicU64,
}

impl<T> Outbox<T> {
    /// An empty one for `most` at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), most, dropped: AtomicU64::new(0) }
    }

    /// Puts one in, if there is room.
    pub(super) fn put(&self, item: T) {
        self.with(|waiting| {
            if waiting.len() < self.most {
                waiting.push(item);
            } else {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// All that wait.
    pub(super) fn take(&self) -> Vec<T> {
        self.with(std::mem::take)
    }

    /// How many had no room since the last time somebody asked.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn with<R>(&self, use_waiting: impl FnOnce(&mut Vec<T>) -> R) -> R {
        use_waiting(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_gone() {
        let outbox = Outbox::new(2);
        for number in 0..5 {
            outbox.put(number);
        }
        assert_eq!((outbox.take(), outbox.take_dropped()), (vec![0, 1], 3));
        outbox.put(9);
        assert_eq!((outbox.take(), outbox.take_dropped()), (vec![9], 0));
    }
}
