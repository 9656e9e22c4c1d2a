//! The contents of documents in a folder: `<folder>/<organization>/<aa>/<sha256>`, where `aa` is the beginning of the hash.
//! What is being received is in `<folder>/unfinished`, and gets its name when it is complete and durable.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use porttask_domain::OrganizationId;
use porttask_runtime::ports::blobs::{Blob, BlobReader, BlobStore, BlobWriter};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

/// The folder of what is being received.
const UNFINISHED: &str = "unfinished";
/// Bytes that are gathered before they are written.
const GATHERED: usize = 256 * 1024;
/// Folders that are remembered to be durable.
const REMEMBERED: usize = 16_384;

/// Contents in a folder.
pub struct BlobFolder {
    path: Arc<Path>,
    /// The folders of contents that are durable themselves.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
}

impl BlobFolder {
    /// A folder, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path: path.into(), durable: Arc::default() }
    }

    /// Creates the folder if it is missing.
    ///
    /// # Errors
    /// If that fails.
    pub fn create(&self) -> io::Result<()> {
        make(&self.path.join(UNFINISHED))
    }

    fn folder_of(&self, organization: OrganizationId) -> PathBuf {
        self.path.join(organization.to_string())
    }

    /// `None` if it is not a hash, which might lead elsewhere.
    fn place(&self, organization: OrganizationId, sha256: &str) -> Option<PathBuf> {
        is_hash(sha256).then(|| self.folder_of(organization).join(&sha256[..2]).join(sha256))
    }

    fn unfinished(&self) -> PathBuf {
        self.path.join(UNFINISHED).join(Uuid::now_v7().to_string())
    }
}

#[async_trait]
impl BlobStore for BlobFolder {
    async fn begin(&self, organization: OrganizationId) -> io::Result<Box<dyn BlobWriter>> {
        let (path, folder) = (self.unfinished(), self.folder_of(organization));
        let created = path.clone();
        let file = blocking(move || {
            let make_and_create = || {
                created.parent().map_or(Ok(()), make)?;
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&created)
            };
            make_and_create()
        });
        let (file, unfinished) = (Arc::new(file.await?), Unfinished(Some(path)));
        let durable = Arc::clone(&self.durable);
        Ok(Box::new(Writer { file, unfinished, folder, durable, written: None, bytes: 0, gathered: Vec::new() }))
    }

    async fn open(&self, organization: OrganizationId, sha256: &str) -> io::Result<Option<Box<dyn BlobReader>>> {
        let Some(path) = self.place(organization, sha256) else { return Ok(None) };
        let opened = blocking(move || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            Ok(Reader { file: Arc::new(file), bytes })
        });
        match opened.await {
            Ok(reader) => Ok(Some(Box::new(reader))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn organizations(&self) -> io::Result<Vec<OrganizationId>> {
        let path = Arc::clone(&self.path);
        blocking(move || Ok(names(&path)?.iter().filter_map(|name| name.parse().ok()).collect())).await
    }

    async fn older_than(&self, organization: OrganizationId, age: Duration) -> io::Result<Vec<String>> {
        let folder = self.folder_of(organization);
        blocking(move || {
            let mut found = Vec::new();
            for part in names(&folder)? {
                let part = folder.join(part);
                found.extend(names(&part)?.into_iter().filter(|name| is_hash(name) && is_older(&part.join(name), age)));
            }
            Ok(found)
        })
        .await
    }

    async fn delete(&self, organization: OrganizationId, sha256: &str, age: Duration) -> io::Result<bool> {
        let Some(path) = self.place(organization, sha256) else { return Ok(false) };
        let aside = self.unfinished();
        blocking(move || delete(&path, &aside, age)).await
    }

    async fn delete_unfinished(&self, age: Duration) -> io::Result<u64> {
        let folder = self.path.join(UNFINISHED);
        blocking(move || {
            let mut deleted = 0;
            for name in names(&folder)? {
                let path = folder.join(name);
                if is_older(&path, age) && removed(&path)? {
                    deleted += 1;
                }
            }
            Ok(deleted)
        })
        .await
    }
}

/// Deletes a content: it is put aside first, and put back if an upload has written it again meanwhile.
fn delete(path: &Path, aside: &Path, age: Duration) -> io::Result<bool> {
    match fs::rename(path, aside) {
        // Another node has deleted it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        moved => moved?,
    }
    if is_older(aside, age) {
        return removed(aside);
    }
    fs::rename(aside, path)?;
    Ok(false)
}

/// Removes a file; returns whether it was there.
fn removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// The names in a folder; none if it does not exist.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

/// Whether a file was last written longer ago than this.
fn is_older(path: &Path, age: Duration) -> bool {
    let written = fs::metadata(path).and_then(|it| it.modified()).ok();
    written.and_then(|written| written.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A file that is removed unless it gets its name.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            _ = fs::remove_file(path);
        }
    }
}

struct Writer {
    file: Arc<File>,
    unfinished: Unfinished,
    /// The folder of the organization.
    folder: PathBuf,
    durable: Arc<Mutex<HashSet<PathBuf>>>,
    /// Hashes and writes what was gathered before, while more is received.
    written: Option<JoinHandle<io::Result<Sha256>>>,
    bytes: u64,
    gathered: Vec<u8>,
}

impl Writer {
    /// Waits until what was gathered before is written; returns its hash so far.
    async fn written(&mut self) -> io::Result<Sha256> {
        match self.written.take() {
            Some(written) => written.await.map_err(io::Error::other)?,
            None => Ok(Sha256::new()),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut hash = self.written().await?;
        let (file, gathered) = (Arc::clone(&self.file), mem::replace(&mut self.gathered, Vec::with_capacity(GATHERED)));
        self.written = Some(spawn_blocking(move || {
            hash.update(&gathered);
            (&*file).write_all(&gathered)?;
            Ok(hash)
        }));
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= GATHERED { self.flush().await } else { Ok(()) }
    }

    async fn finish(mut self: Box<Self>) -> io::Result<Blob> {
        self.flush().await?;
        let digest = self.written().await?.finalize();
        let Self { file, mut unfinished, folder, durable, bytes, .. } = *self;
        let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = sha256.clone();
        blocking(move || {
            file.sync_all()?;
            let part = folder.join(&name[..2]);
            make(&part)?;
            // Also if the content is there: its time is renewed, so that it is not taken for an old one.
            if let Some(path) = unfinished.0.take() {
                let renamed = fs::rename(&path, part.join(&name));
                renamed.inspect_err(|_| _ = fs::remove_file(&path))?;
            }
            File::open(&part)?.sync_all()?;
            // That folder may be new, also if another process has created it: looked after once in each process.
            let durable = || durable.lock().unwrap_or_else(PoisonError::into_inner);
            if !durable().contains(&part) {
                File::open(&folder)?.sync_all()?;
                let mut durable = durable();
                if durable.len() == REMEMBERED {
                    durable.clear();
                }
                durable.insert(part);
            }
            Ok(())
        })
        .await?;
        Ok(Blob { sha256, bytes })
    }
}

struct Reader {
    file: Arc<File>,
    bytes: u64,
}

#[async_trait]
impl BlobReader for Reader {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    async fn read(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut buffer = vec![0; most];
            let read = file.read_at(&mut buffer, offset)?;
            buffer.truncate(read);
            Ok(buffer.into())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const ACME: OrganizationId = OrganizationId(Uuid::from_u128(7));
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn folder() -> (PathBuf, BlobFolder) {
        let path = std::env::temp_dir().join(format!("porttask-blobs-{}", Uuid::now_v7()));
        (path.clone(), BlobFolder::new(path))
    }

    async fn store(blobs: &BlobFolder, parts: &[&'static str]) -> Blob {
        let mut writer = blobs.begin(ACME).await.unwrap();
        for part in parts {
            writer.write(Bytes::from_static(part.as_bytes())).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    fn age(path: &Path) {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - 2 * DAY).unwrap();
    }

    #[tokio::test]
    async fn a_content_is_stored_under_its_hash_and_read_in_parts() {
        let (path, blobs) = folder();
        let blob = Blob { sha256: HELLO.to_owned(), bytes: 5 };
        assert_eq!(store(&blobs, &["he", "llo"]).await, blob);
        assert_eq!(store(&blobs, &["hello"]).await, blob, "the same content is the same blob");
        let reader = blobs.open(ACME, HELLO).await.unwrap().unwrap();
        assert_eq!((reader.bytes(), &reader.read(1, 3).await.unwrap()[..]), (5, &b"ell"[..]));
        assert_eq!(reader.read(5, 3).await.unwrap().len(), 0);
        assert!(path.join(ACME.to_string()).join("2c").join(HELLO).exists());
        let other = OrganizationId(Uuid::from_u128(8));
        for (organization, hash) in [(other, HELLO), (ACME, "../../etc/passwd"), (ACME, &HELLO.replace('2', "0"))] {
            assert!(blobs.open(organization, hash).await.unwrap().is_none(), "{hash}");
        }
        fs::remove_dir_all(path).unwrap();
    }

    #[tokio::test]
    async fn what_is_not_finished_leaves_nothing() {
        let (path, blobs) = folder();
        let mut writer = blobs.begin(ACME).await.unwrap();
        writer.write(Bytes::from_static(&[0; 300_000])).await.unwrap();
        assert_eq!(names(&path.join(UNFINISHED)).unwrap().len(), 1);
        drop(writer);
        assert_eq!(names(&path.join(UNFINISHED)).unwrap().len(), 0);
        // A process that was killed leaves its file.
        fs::write(path.join(UNFINISHED).join("left"), "half").unwrap();
        assert_eq!(blobs.delete_unfinished(DAY).await.unwrap(), 0);
        age(&path.join(UNFINISHED).join("left"));
        assert_eq!(blobs.delete_unfinished(DAY).await.unwrap(), 1);
        fs::remove_dir_all(path).unwrap();
    }

    #[tokio::test]
    async fn only_old_contents_are_deleted() {
        let (path, blobs) = folder();
        store(&blobs, &["hello"]).await;
        assert_eq!(blobs.organizations().await.unwrap(), [ACME]);
        assert_eq!(blobs.older_than(ACME, DAY).await.unwrap(), Vec::<String>::new());
        let place = blobs.place(ACME, HELLO).unwrap();
        age(&place);
        assert_eq!(blobs.older_than(ACME, DAY).await.unwrap(), [HELLO]);
        // It was uploaded again after it was listed.
        store(&blobs, &["hello"]).await;
        assert!(!blobs.delete(ACME, HELLO, DAY).await.unwrap() && place.exists());
        age(&place);
        assert!(blobs.delete(ACME, HELLO, DAY).await.unwrap() && !place.exists());
        assert!(!blobs.delete(ACME, HELLO, DAY).await.unwrap());
        assert_eq!(names(&path.join(UNFINISHED)).unwrap().len(), 0);
        fs::remove_dir_all(path).unwrap();
    }
}
