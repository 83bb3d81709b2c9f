use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};

use time::OffsetDateTime;
use ulid::Ulid;

use super::LONGEST_DELAY;
use crate::tenancy::TenantId;

/// The folder within a queue's that holds what was given up.
const DEAD: &str = "dead";

/// A queue in a folder, for one machine: one file for each message, which holds its body. All else about it is in the
/// file's name ([`Place`]), so that every step is one renaming. Of processes that try the same step only one succeeds, and
/// one that dies in between leaves nothing half done.
#[derive(Debug, Clone)]
pub struct FolderQueue {
    folder: PathBuf,
}

/// A message of a [`FolderQueue`] without its body, as the name of its file says it:
/// `<id>.<group>.<receives>.<visible at>.json`, with the time in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Sorts by the time it was sent.
    pub id: String,
    /// Whom it concerns, if the sender said so.
    pub group: Option<TenantId>,
    /// How often it was received.
    pub receives: u32,
    /// When it may be received again, in milliseconds since 1970.
    pub visible_at: i64,
    file: String,
}

impl FolderQueue {
    /// The queue in this folder, which is made if it is not there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Sends a message. Its file appears under its final name when it is complete.
    pub fn send(&self, group: Option<&TenantId>, body: &str, delay: Duration) -> io::Result<()> {
        let id = Ulid::generate().to_string();
        let draft = self.folder.join(format!("{id}.part"));
        let visible_at = if delay.is_zero() { 0 } else { after(delay.min(LONGEST_DELAY)) };
        fs::write(&draft, body)?;
        fs::rename(draft, self.folder.join(name(&id, group, 0, visible_at)))
    }

    /// All messages, the oldest first.
    pub fn list(&self) -> io::Result<Vec<Place>> {
        list(&self.folder)
    }

    /// Receives a message that was listed: it is hidden for `span`. `None` if another process was faster.
    pub fn receive(&self, place: &Place, span: Duration) -> io::Result<Option<Place>> {
        self.renamed(place, place.receives + 1, after(span))
    }

    /// The body of a message.
    pub fn body(&self, place: &Place) -> io::Result<String> {
        // A file that is no text is no message either, but must come to its end like others.
        fs::read(self.folder.join(&place.file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Hides a message that was received for `span` from now.
    pub fn hide(&self, receipt_handle: &str, span: Duration) -> io::Result<()> {
        let place = self.received(receipt_handle)?;
        self.renamed(&place, place.receives, after(span))?.map(|_| ()).ok_or_else(not_ours)
    }

    /// Removes a message that was received and worked off.
    pub fn remove(&self, receipt_handle: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(self.received(receipt_handle)?.file))
    }

    /// Puts a message back as if it had not been received.
    pub fn put_back(&self, receipt_handle: &str) -> io::Result<()> {
        let place = self.received(receipt_handle)?;
        self.renamed(&place, place.receives.saturating_sub(1), 0)?.map(|_| ()).ok_or_else(not_ours)
    }

    /// Moves a message that was listed to the dead letters.
    pub fn bury(&self, place: &Place) -> io::Result<()> {
        fs::create_dir_all(self.folder.join(DEAD))?;
        absent_is_none(fs::rename(self.folder.join(&place.file), self.folder.join(DEAD).join(&place.file))).map(|_| ())
    }

    /// The dead letters, the oldest first.
    pub fn dead(&self) -> io::Result<Vec<Place>> {
        Ok(absent_is_none(list(&self.folder.join(DEAD)))?.unwrap_or_default())
    }

    /// Moves all dead letters back, each as if it had never been received, and says how many they were.
    pub fn redrive(&self) -> io::Result<usize> {
        let mut moved = 0;
        for place in self.dead()? {
            let fresh = self.folder.join(name(&place.id, place.group.as_ref(), 0, 0));
            moved +=
                usize::from(absent_is_none(fs::rename(self.folder.join(DEAD).join(&place.file), fresh))?.is_some());
        }
        Ok(moved)
    }

    /// The name of its folder.
    pub fn name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    fn received(&self, receipt_handle: &str) -> io::Result<Place> {
        self.list()?.into_iter().find(|place| place.receipt_handle() == receipt_handle).ok_or_else(not_ours)
    }

    /// `None` if the message is not where it was any more.
    fn renamed(&self, place: &Place, receives: u32, visible_at: i64) -> io::Result<Option<Place>> {
        let file = name(&place.id, place.group.as_ref(), receives, visible_at);
        let renamed = fs::rename(self.folder.join(&place.file), self.folder.join(&file));
        Ok(absent_is_none(renamed)?.map(|()| Place { receives, visible_at, file, ..place.clone() }))
    }
}

impl Place {
    /// Any other file that ends in `.json` is a message, too: whatever lies in the folder is worked off, or ends as a dead
    /// letter where somebody finds it.
    fn from_file(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".json")?;
        let parts: Vec<_> = stem.split('.').collect();
        let own = match parts.as_slice() {
            [id, group, receives, visible_at] => Self::from_parts(id, group, receives, visible_at, file),
            _ => None,
        };
        let foreign = || {
            let id = Ulid::generate().to_string();
            Self { id, group: None, receives: 0, visible_at: 0, file: file.to_owned() }
        };
        Some(own.unwrap_or_else(foreign))
    }

    fn from_parts(id: &str, group: &str, receives: &str, visible_at: &str, file: &str) -> Option<Self> {
        Some(Self {
            id: id.to_owned(),
            group: if group.is_empty() { None } else { Some(group.parse().ok()?) },
            receives: receives.parse().ok()?,
            visible_at: visible_at.parse().ok()?,
            file: file.to_owned(),
        })
    }

    /// Whether it may be received.
    pub fn is_visible(&self) -> bool {
        self.visible_at <= after(Duration::ZERO)
    }

    /// What stands for this receiving of it.
    pub fn receipt_handle(&self) -> String {
        format!("{}.{}", self.id, self.receives)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

fn list(folder: &Path) -> io::Result<Vec<Place>> {
    let mut places: Vec<_> =
        fs::read_dir(folder)?.filter_map(|entry| Place::from_file(entry.ok()?.file_name().to_str()?)).collect();
    places.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(places)
}

fn name(id: &str, group: Option<&TenantId>, receives: u32, visible_at: i64) -> String {
    format!("{id}.{}.{receives}.{visible_at}.json", group.map_or("", TenantId::as_str))
}

/// Milliseconds since 1970 at the end of a span from now.
fn after(span: Duration) -> i64 {
    let then = OffsetDateTime::now_utc() + span;
    i64::try_from(then.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the message is gone, or somebody else has received it")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::tempdir;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    fn queue(folder: &Path) -> FolderQueue {
        FolderQueue::open(folder).unwrap()
    }

    #[test]
    fn a_message_is_as_it_was_sent_whoever_opens_the_folder() {
        let folder = tempdir().unwrap();
        let tenant: TenantId = "acme".parse().unwrap();
        queue(folder.path()).send(Some(&tenant), "ä\n{}", Duration::ZERO).unwrap();
        // Ids sort by the millisecond.
        std::thread::sleep(Duration::from_millis(2));
        queue(folder.path()).send(None, "second", LONG).unwrap();
        let again = queue(folder.path());
        let places = again.list().unwrap();
        assert_eq!((places[0].group.as_ref(), places[0].receives, places[0].is_visible()), (Some(&tenant), 0, true));
        assert_eq!((places[1].group.as_ref(), places[1].receives, places[1].is_visible()), (None, 0, false));
        assert_eq!(again.body(&places[0]).unwrap(), "ä\n{}");
    }

    #[test]
    fn who_receives_a_message_hides_it_and_counts() {
        let folder = tempdir().unwrap();
        let queue = queue(folder.path());
        queue.send(None, "x", Duration::ZERO).unwrap();
        for receives in 1..4 {
            let place = &queue.list().unwrap()[0];
            let received = queue.receive(place, LONG).unwrap().unwrap();
            assert_eq!((received.receives, received.is_visible()), (receives, false));
            assert_eq!(queue.receive(place, LONG).unwrap(), None, "somebody was faster");
            queue.hide(&received.receipt_handle(), Duration::ZERO).unwrap();
            assert_eq!(self::queue(folder.path()).list().unwrap()[0].receives, receives, "it outlives the process");
        }
    }

    #[test]
    fn a_receipt_is_good_until_the_message_is_received_again() {
        let folder = tempdir().unwrap();
        let queue = queue(folder.path());
        queue.send(None, "x", Duration::ZERO).unwrap();
        let first = queue.receive(&queue.list().unwrap()[0], Duration::ZERO).unwrap().unwrap().receipt_handle();
        let second = queue.receive(&queue.list().unwrap()[0], LONG).unwrap().unwrap().receipt_handle();
        for result in [queue.hide(&first, Duration::ZERO), queue.put_back(&first), queue.remove(&first)] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        queue.put_back(&second).unwrap();
        let back = queue.list().unwrap().remove(0);
        assert_eq!((back.receives, back.is_visible()), (1, true));
        queue.remove(&queue.receive(&back, LONG).unwrap().unwrap().receipt_handle()).unwrap();
        assert!(queue.list().unwrap().is_empty());
    }

    #[test]
    fn of_many_who_try_at_once_one_receives_a_message() {
        let folder = tempdir().unwrap();
        for _ in 0..50 {
            queue(folder.path()).send(None, "x", Duration::ZERO).unwrap();
        }
        let received = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let queue = queue(folder.path());
                    for place in queue.list().unwrap().into_iter().filter(Place::is_visible) {
                        received
                            .fetch_add(usize::from(queue.receive(&place, LONG).unwrap().is_some()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(received.into_inner(), 50);
        assert!(queue(folder.path()).list().unwrap().iter().all(|place| place.receives == 1));
    }

    #[test]
    fn dead_letters_come_back_as_new() {
        let folder = tempdir().unwrap();
        let queue = queue(folder.path());
        assert_eq!(queue.redrive().unwrap(), 0);
        queue.send(Some(&"acme".parse().unwrap()), "x", Duration::ZERO).unwrap();
        let place = queue.receive(&queue.list().unwrap()[0], LONG).unwrap().unwrap();
        queue.bury(&place).unwrap();
        assert!(queue.list().unwrap().is_empty());
        assert_eq!(queue.dead().unwrap()[0].receives, 1);
        assert_eq!(queue.redrive().unwrap(), 1);
        let back = queue.list().unwrap().remove(0);
        assert_eq!((back.group.as_ref().map(TenantId::as_str), back.receives), (Some("acme"), 0));
        assert_eq!(queue.body(&back).unwrap(), "x");
    }

    #[test]
    fn any_other_file_is_a_message_too() {
        let folder = tempdir().unwrap();
        let queue = queue(folder.path());
        for file in ["copy-1.json", "a.b.json", "a..x.y.json", "draft.part"] {
            fs::write(folder.path().join(file), file).unwrap();
        }
        let places = queue.list().unwrap();
        assert_eq!(places.len(), 3, "{places:?}");
        for place in places {
            let received = queue.receive(&place, LONG).unwrap().unwrap();
            assert_eq!(queue.body(&received).unwrap(), place.to_string());
        }
    }
}
