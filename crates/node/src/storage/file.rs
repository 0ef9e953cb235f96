use std::{
    fmt,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition};

use crate::storage::{Batch, Loaded, RowTable};

/// 4 MiB: enough for a book of 80,000 entries; redb's own default is 1 GiB.
const CACHE_BYTES: usize = 4 * 1024 * 1024;
const FORMAT: u32 = 1;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
const VERSIONS: TableDefinition<'static, &'static str, u32> = TableDefinition::new("versions");

impl RowTable {
    const ALL: [Self; 4] = [Self::Entries, Self::Peers, Self::Bans, Self::Anchors];

    const fn definition(self) -> Rows {
        TableDefinition::new(match self {
            Self::Entries => "entries",
            Self::Peers => "peers",
            Self::Bans => "bans",
            Self::Anchors => "anchors",
        })
    }
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The disk or the system refuses; the file may be good.
    #[error("{0}")]
    Refused(io::Error),
    /// The file holds what this program cannot read.
    #[error("{0}")]
    Damaged(String),
}

/// Opens the storage file; in tests, something that fails on purpose.
pub(crate) trait Opener: fmt::Debug + Send {
    /// Opens or makes the file.
    fn open(&mut self) -> Result<Store, FileError>;
    /// Renames the file so that a new one can be made, and says its new name.
    fn set_aside(&mut self) -> io::Result<PathBuf>;
    /// The file.
    fn path(&self) -> &Path;
}

/// The open file.
pub(crate) struct Store {
    database: Database,
    is_mended: bool,
}

/// A file in the data directory.
#[derive(Debug)]
pub(crate) struct FileOpener {
    path: PathBuf,
    book_version: u32,
}

impl FileOpener {
    pub(crate) fn new(path: &Path, book_version: u32) -> Self {
        Self { path: path.to_owned(), book_version }
    }
}

impl Opener for FileOpener {
    fn open(&mut self) -> Result<Store, FileError> {
        let is_new = fs::metadata(&self.path)
            .map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |metadata| metadata.len() == 0);
        let opened = Store::open(self.book_version, || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
            Database::builder().set_cache_size(CACHE_BYTES).create_file(file)
        });
        if opened.is_err() && is_new {
            // What could not be made whole is nobody's data; left there, it would count as damaged the next time.
            let _ = fs::remove_file(&self.path);
        }
        opened
    }

    fn set_aside(&mut self) -> io::Result<PathBuf> {
        let name = |number| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".set-aside-{number}"));
            PathBuf::from(name)
        };
        let free = (1_u32..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        fs::rename(&self.path, &free)?;
        Ok(free)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Opens a file, and checks every page against its checksum, and the versions; a new file gets ours.
    pub(super) fn open(
        book_version: u32,
        create: impl FnOnce() -> Result<Database, redb::DatabaseError>,
    ) -> Result<Self, FileError> {
        let (store, later) = guarded(|| {
            let mut database = create()?;
            // Without this, redb would hand out rows with flipped bits as they are.
            let is_mended = !database.check_integrity()?;
            let later = check_versions(&database, book_version)?;
            Ok::<_, redb::Error>((Self { database, is_mended }, later))
        })?;
        let Some(Later { name, found, ours }) = later else { return Ok(store) };
        store.close();
        Err(FileError::Damaged(format!("a later version wrote it: {name} {found}, this program reads up to {ours}")))
    }

    /// Whether the file was damaged and what was stored before the damage is in it.
    pub(super) const fn is_mended(&self) -> bool {
        self.is_mended
    }

    /// Reads all rows.
    pub(crate) fn load(&self) -> Result<Loaded, FileError> {
        guarded(|| {
            let transaction = self.database.begin_read()?;
            let mut loaded = Loaded::default();
            for table in RowTable::ALL {
                for row in transaction.open_table(table.definition())?.iter()? {
                    let (key, value) = row?;
                    loaded.rows.push((table, key.value().to_vec(), value.value().to_vec()));
                }
            }
            Ok::<_, redb::Error>(loaded)
        })
    }

    /// Writes a batch in one transaction, and says how many entries there are now.
    pub(crate) fn write(&self, batch: &Batch) -> Result<u64, FileError> {
        guarded(|| {
            let transaction = self.database.begin_write()?;
            for ((table, key), value) in batch {
                let mut rows = transaction.open_table(table.definition())?;
                match value {
                    Some(value) => drop(rows.insert(key.as_slice(), value.as_slice())?),
                    None => drop(rows.remove(key.as_slice())?),
                }
            }
            let stored = transaction.open_table(RowTable::Entries.definition())?.len()?;
            transaction.commit()?;
            Ok::<_, redb::Error>(stored)
        })
    }

    /// Closes the file; what cannot be written any more was not promised.
    pub(crate) fn close(self) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.database)));
    }
}

/// A version in the file that is later than this program's.
struct Later {
    name: &'static str,
    found: u32,
    ours: u32,
}

fn check_versions(database: &Database, book_version: u32) -> Result<Option<Later>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut versions = transaction.open_table(VERSIONS)?;
        for (name, ours) in [("format", FORMAT), ("book", book_version)] {
            let found = versions.get(name)?.map(|found| found.value());
            match found {
                Some(found) if found > ours => return Ok(Some(Later { name, found, ours })),
                Some(found) if found == ours => {}
                Some(_) | None => drop(versions.insert(name, ours)?),
            }
        }
    }
    for table in RowTable::ALL {
        transaction.open_table(table.definition())?;
    }
    transaction.commit()?;
    Ok(None)
}

/// A damaged file may make redb panic; that must end neither the thread nor the node.
fn guarded<T, E: Into<redb::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, FileError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(classify(error.into())),
        Err(_) => Err(FileError::Damaged("reading it failed unexpectedly".to_owned())),
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "redb's errors are non-exhaustive; all others speak of the file's content"
)]
fn classify(error: redb::Error) -> FileError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    // A damaged page may point outside the file, or where no file can reach.
    match error {
        redb::Error::Io(error) if !matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            FileError::Refused(error)
        }
        redb::Error::PreviousIo | redb::Error::DatabaseAlreadyOpen => FileError::Refused(io::Error::other(error)),
        other => FileError::Damaged(other.to_string()),
    }
}
