use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    sync::atomic::{AtomicBool, Ordering},
};

use redb::{Database, StorageBackend, backends::InMemoryBackend};

use super::{
    file::{FileError, Store},
    *,
};

fn batch(keys: &[&str]) -> Batch {
    keys.iter().map(|key| ((RowTable::Entries, key.as_bytes().to_vec()), Some(b"value".to_vec()))).collect()
}

fn keys(loaded: &Loaded) -> Vec<String> {
    loaded.rows.iter().map(|(_, key, _)| String::from_utf8(key.clone()).unwrap()).collect()
}

#[test]
fn rows_survive_and_can_be_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let (storage, loaded) = Storage::open(&path, 1).unwrap();
    assert!(loaded.rows.is_empty());
    storage.save(batch(&["a", "b"]));
    let closed = storage.close();
    assert_eq!((closed.state, closed.stored, closed.waiting), (StorageState::Ok, 2, 0));

    let (storage, loaded) = Storage::open(&path, 1).unwrap();
    assert_eq!((keys(&loaded), storage.status().stored), (vec!["a".to_owned(), "b".to_owned()], 2));
    storage.save(BTreeMap::from([((RowTable::Entries, b"a".to_vec()), None)]));
    assert_eq!(storage.close().stored, 1);
    assert_eq!(keys(&Storage::open(&path, 1).unwrap().1), ["b"]);
}

#[test]
fn only_the_owner_reads_whom_the_node_knows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    Storage::open(&path, 1).unwrap().0.close();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn fault_a_damaged_file_is_set_aside_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let (storage, _) = Storage::open(&path, 1).unwrap();
    storage.save((0..2_000).map(|n| ((RowTable::Entries, format!("{n}").into_bytes()), Some(vec![7; 100]))).collect());
    storage.close();
    let whole = fs::read(&path).unwrap();

    let mut number = 0;
    let mut damage = |bytes: Vec<u8>| {
        number += 1;
        fs::write(&path, &bytes).unwrap();
        let (storage, loaded) = Storage::open(&path, 1).unwrap();
        let status = storage.close();
        assert_eq!(status.state, StorageState::Ok);
        assert!(loaded.rows.is_empty());
        let aside = dir.path().join(format!("book.redb.set-aside-{number}"));
        assert_eq!(status.set_aside, std::slice::from_ref(&aside));
        assert!(status.message.unwrap().contains("set aside"));
        assert_eq!(fs::read(aside).unwrap().len(), bytes.len());
    };
    damage(b"this is no book".to_vec());
    damage(whole[..whole.len() / 3].to_vec());
    let mut holed = whole.clone();
    holed[512..].fill(0xa5);
    damage(holed);
}

#[test]
fn fault_any_damaged_page_leaves_a_node_that_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let (storage, _) = Storage::open(&path, 1).unwrap();
    storage.save((0..500).map(|n| ((RowTable::Entries, format!("{n}").into_bytes()), Some(vec![7; 100]))).collect());
    storage.close();
    let whole = fs::read(&path).unwrap();
    for page in 0..whole.len().div_ceil(4_096).min(64) {
        let mut bytes = whole.clone();
        let end = (page * 4_096 + 64).min(bytes.len());
        bytes[page * 4_096..end].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        let (storage, _) = Storage::open(&path, 1).unwrap();
        storage.save(batch(&["later"]));
        let status = storage.close();
        assert!(status.stored >= 1 || status.waiting == 1, "page {page}: {status:?}");
    }
}

#[test]
fn fault_a_later_format_is_set_aside_unread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let (storage, _) = Storage::open(&path, 2).unwrap();
    storage.save(batch(&["a"]));
    storage.close();
    let (storage, loaded) = Storage::open(&path, 1).unwrap();
    assert!(loaded.rows.is_empty());
    assert!(storage.status().message.unwrap().contains("a later version wrote it: book 2"));
    let aside = storage.close().set_aside.remove(0);
    assert_eq!(keys(&Storage::open(&aside, 2).unwrap().1), ["a"]);
    assert_eq!(keys(&Storage::open(&aside, 3).unwrap().1), ["a"]);
}

/// A disk that can be filled and emptied.
#[derive(Clone, Debug)]
struct Disk {
    bytes: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.bytes.write(offset, data)
    }
}

#[derive(Debug)]
struct DiskOpener(Disk);

impl Opener for DiskOpener {
    fn open(&mut self) -> Result<Store, FileError> {
        Store::open(1, || Database::builder().create_with_backend(self.0.clone()))
    }

    fn set_aside(&mut self) -> io::Result<PathBuf> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn path(&self) -> &Path {
        Path::new("disk")
    }
}

fn until(storage: &Storage, condition: impl Fn(&StorageStatus) -> bool) -> StorageStatus {
    loop {
        let status = storage.status();
        if condition(&status) {
            return status;
        }
        std::thread::yield_now();
    }
}

#[test]
fn fault_a_full_disk_loses_nothing_and_is_tried_again() {
    let disk = Disk { bytes: Arc::new(InMemoryBackend::new()), is_full: Arc::default() };
    let retry = (Duration::from_millis(1), Duration::from_millis(4));
    let (storage, _) = Storage::open_with(Box::new(DiskOpener(disk.clone())), retry).unwrap();
    storage.save(batch(&["before"]));
    until(&storage, |status| status.stored == 1);

    disk.is_full.store(true, Ordering::SeqCst);
    storage.save(batch(&["during"]));
    let failed = until(&storage, |status| status.failures >= 3);
    assert_eq!((failed.state, failed.stored), (StorageState::Failed, 1));
    assert!(failed.message.is_some());
    storage.save(batch(&["later"]));

    disk.is_full.store(false, Ordering::SeqCst);
    let status = until(&storage, |status| status.state == StorageState::Ok && status.stored == 3);
    assert_eq!((status.message, status.waiting), (None, 0));
    storage.close();
    let store = DiskOpener(disk).open().unwrap();
    assert_eq!(keys(&store.load().unwrap()), ["before", "during", "later"]);
}

#[test]
fn fault_a_disk_full_from_the_start_lets_the_node_start() {
    let disk = Disk { bytes: Arc::new(InMemoryBackend::new()), is_full: Arc::new(AtomicBool::new(true)) };
    let retry = (Duration::from_millis(1), Duration::from_millis(4));
    let (storage, loaded) = Storage::open_with(Box::new(DiskOpener(disk.clone())), retry).unwrap();
    assert!(loaded.rows.is_empty());
    assert_eq!(storage.status().state, StorageState::Failed);
    storage.save(batch(&["a"]));
    disk.is_full.store(false, Ordering::SeqCst);
    assert_eq!(until(&storage, |status| status.state == StorageState::Ok).stored, 1);
}

/// A file that reads as damaged once it is told to.
#[derive(Debug)]
struct RottenOpener {
    disk: Disk,
    is_rotten: Arc<AtomicBool>,
    set_aside: usize,
}

impl Opener for RottenOpener {
    fn open(&mut self) -> Result<Store, FileError> {
        if self.is_rotten.load(Ordering::SeqCst) {
            return Err(FileError::Damaged("a page is wrong".to_owned()));
        }
        Store::open(1, || Database::builder().create_with_backend(self.disk.clone()))
    }

    fn set_aside(&mut self) -> io::Result<PathBuf> {
        self.is_rotten.store(false, Ordering::SeqCst);
        self.disk.bytes = Arc::new(InMemoryBackend::new());
        self.set_aside += 1;
        Ok(PathBuf::from(format!("aside-{}", self.set_aside)))
    }

    fn path(&self) -> &Path {
        Path::new("disk")
    }
}

#[test]
fn fault_a_file_that_is_set_aside_while_the_node_runs_is_to_be_filled_again() {
    let disk = Disk { bytes: Arc::new(InMemoryBackend::new()), is_full: Arc::default() };
    let is_rotten = Arc::new(AtomicBool::new(false));
    let opener = RottenOpener { disk: disk.clone(), is_rotten: Arc::clone(&is_rotten), set_aside: 0 };
    let retry = (Duration::from_millis(1), Duration::from_millis(4));
    let (storage, _) = Storage::open_with(Box::new(opener), retry).unwrap();
    storage.save(batch(&["before"]));
    until(&storage, |status| status.stored == 1);
    assert!(!storage.take_loss(), "nothing is lost");

    // A write fails, and when the file is opened anew it cannot be read.
    disk.is_full.store(true, Ordering::SeqCst);
    storage.save(batch(&["during"]));
    until(&storage, |status| status.failures >= 1);
    is_rotten.store(true, Ordering::SeqCst);
    disk.is_full.store(false, Ordering::SeqCst);
    let status = until(&storage, |status| status.state == StorageState::Ok && status.waiting == 0);
    assert_eq!((status.stored, status.set_aside), (1, vec![PathBuf::from("aside-1")]));
    assert!(storage.take_loss());
    assert!(!storage.take_loss(), "it is told once");
}
