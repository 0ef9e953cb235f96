//! What power cuts, other programs and full disks do to the file: the node starts every time, with what was in it or without.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use redb::{Database, StorageBackend};

use super::{
    file::{FileError, Store},
    *,
};

const WRITER: &str = "BRUIT_STORAGE_WRITER";

fn write(path: &Path, rows: usize) -> Vec<u8> {
    let (storage, _) = Storage::open(path, 1).unwrap();
    storage.save((0..rows).map(|n| ((RowTable::Entries, n.to_be_bytes().to_vec()), Some(vec![7; 60]))).collect());
    storage.close();
    fs::read(path).unwrap()
}

/// Opens what lies there as a node does; the rows must be some of those that were written, or none.
fn starts(path: &Path, what: &str) -> usize {
    let (storage, loaded) = Storage::open(path, 1).unwrap();
    assert!(loaded.rows.iter().all(|(_, key, _)| key.len() == 8), "{what}");
    let status = storage.close();
    assert!(status.message.is_some() || status.set_aside.is_empty(), "{what}: a loss is told");
    for aside in status.set_aside {
        fs::remove_file(aside).unwrap();
    }
    loaded.rows.len()
}

#[test]
fn fault_a_file_cut_anywhere_lets_the_node_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let whole = write(&path, 100);
    assert_eq!(starts(&path, "whole"), 100);
    // Each page's border and its neighbours, and steps that meet every part of a page.
    let borders = (0..whole.len()).step_by(4_096).flat_map(|border| [border.saturating_sub(1), border, border + 1]);
    let steps = (0..whole.len()).step_by(whole.len() / 150);
    for length in borders.take(150).chain(steps).filter(|length| *length < whole.len()) {
        fs::write(&path, &whole[..length]).unwrap();
        let rows = starts(&path, &format!("cut at {length}"));
        assert!(rows == 0 || rows == 100, "{rows} rows, cut at {length}");
    }
}

/// A disk that is written anew without being allocated anew: it is, some ten thousand times.
#[derive(Clone, Debug)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> Option<T>) -> io::Result<T> {
        work(&mut self.0.lock().unwrap()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl StorageBackend for Bytes {
    fn len(&self) -> io::Result<u64> {
        self.with(|bytes| Some(bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let range = |at: usize| Some(at..at.checked_add(out.len())?);
        self.with(|bytes| range(usize::try_from(offset).ok()?).and_then(|range| bytes.get(range)).map(<[u8]>::to_vec))
            .map(|read| out.copy_from_slice(&read))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // No damage may make it take the whole memory.
        let len = usize::try_from(len).ok().filter(|len| *len <= 16 << 20).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0.lock().unwrap().resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|bytes| {
            let at = usize::try_from(offset).ok()?;
            bytes.get_mut(at..at.checked_add(data.len())?).map(|place| place.copy_from_slice(data))
        })
    }
}

/// Opens what is on a disk; the rows, unless the damage is told.
fn read(disk: &Bytes) -> Option<Loaded> {
    let opened = Store::open(1, || Database::builder().create_with_backend(disk.clone()));
    match opened.and_then(|store| Ok((store.is_mended(), store.load()?, store.close()))) {
        Ok((is_mended, loaded, ())) => (!is_mended).then_some(loaded),
        Err(FileError::Damaged(_)) => None,
        Err(FileError::Refused(error)) => panic!("{error}"),
    }
}

#[test]
fn fault_no_flipped_bit_and_no_cut_changes_a_row_untold() {
    let dir = tempfile::tempdir().unwrap();
    let whole = write(&dir.path().join("book.redb"), 100);
    let disk = Bytes(Arc::new(Mutex::new(whole.clone())));
    let rows = read(&disk).unwrap().rows;
    assert_eq!(rows.len(), 100);
    // One bit of every byte of the header, which no checksum guards whole, and of every fourth byte of all pages in use.
    let pages = whole.chunks(4_096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    let bytes = pages.flat_map(|(page, bytes)| {
        (0..bytes.len()).step_by(if page == 0 { 1 } else { 4 }).map(move |at| page * 4_096 + at)
    });
    let mut told = 0;
    for at in bytes {
        disk.0.lock().unwrap().clone_from(&whole);
        disk.0.lock().unwrap()[at] ^= 1 << (at / 4 % 8);
        match read(&disk) {
            Some(read) => assert_eq!(read.rows, rows, "flipped at {at}"),
            None => told += 1,
        }
    }
    assert!(told > rows.len() * 68 / 4, "all that is stored is guarded: {told}");
    for length in (0..whole.len()).step_by(64) {
        disk.0.lock().unwrap().clear();
        disk.0.lock().unwrap().extend_from_slice(&whole[..length]);
        assert!(read(&disk).is_none_or(|read| length == 0 && read.rows.is_empty()), "cut at {length}");
    }
}

/// The writer that is killed: writes numbered rows until it is, and says which are stored. Does nothing in an ordinary run.
#[test]
fn storage_writer_process() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let (storage, loaded) = Storage::open(Path::new(&path), 1).unwrap();
    let mut out = io::stdout();
    let mut number = loaded.rows.len();
    loop {
        let commits = storage.status().commits;
        storage.save(BTreeMap::from([((RowTable::Entries, number.to_be_bytes().to_vec()), Some(vec![7; 60]))]));
        while storage.status().commits == commits {
            std::thread::yield_now();
        }
        number += 1;
        io::Write::write_all(&mut out, format!("\nstored {number}\n").as_bytes()).unwrap();
        io::Write::flush(&mut out).unwrap();
    }
}

fn writer(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "storage::faults::storage_writer_process", "--nocapture", "--test-threads", "1"]);
    command.env(WRITER, path).stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn fault_killed_five_hundred_times_while_writing_it_keeps_what_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.redb");
    let mut stored = 0;
    for turn in 0..500 {
        let mut child = writer(&path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // It is killed after one to four rows, in the midst of the next.
        let numbers =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("stored ")?.parse::<usize>().ok());
        stored = numbers.take(1 + turn % 4).last().unwrap_or(stored);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (storage, loaded) = Storage::open(&path, 1).unwrap();
    let status = storage.close();
    assert!(status.set_aside.is_empty(), "{status:?}");
    assert!(stored >= 500 && loaded.rows.len() >= stored, "{} rows, {stored} stored", loaded.rows.len());
}
