//! Port: the contents of documents, outside of the log: per organization, by their SHA-256 hash.

use std::{io, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use porttask_domain::OrganizationId;

/// A content that was received completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// The number of bytes.
    pub bytes: u64,
}

/// Stores contents.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Begins to receive a content of an organization.
    ///
    /// # Errors
    /// If nothing can be stored.
    async fn begin(&self, organization: OrganizationId) -> io::Result<Box<dyn BlobWriter>>;

    /// A stored content; `None` if there is none with this hash.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn open(&self, organization: OrganizationId, sha256: &str) -> io::Result<Option<Box<dyn BlobReader>>>;

    /// The organizations of which something is stored, in no order.
    ///
    /// # Errors
    /// If they cannot be listed.
    async fn organizations(&self) -> io::Result<Vec<OrganizationId>>;

    /// The hashes of the contents of an organization that were last written longer ago than this.
    ///
    /// # Errors
    /// If they cannot be listed.
    async fn older_than(&self, organization: OrganizationId, age: Duration) -> io::Result<Vec<String>>;

    /// Deletes a content, unless it was written again meanwhile; returns whether it did.
    ///
    /// # Errors
    /// If it cannot be deleted.
    async fn delete(&self, organization: OrganizationId, sha256: &str, age: Duration) -> io::Result<bool>;

    /// Deletes what was left by uploads that were not finished and last written longer ago than this; returns their
    /// number.
    ///
    /// # Errors
    /// If it cannot be deleted.
    async fn delete_unfinished(&self, age: Duration) -> io::Result<u64>;
}

/// A content that is being received. Dropping it before it is finished removes it.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// If they cannot be stored.
    async fn write(&mut self, bytes: Bytes) -> io::Result<()>;

    /// Stores the content durably. The same content of the same organization is stored once.
    ///
    /// # Errors
    /// If it cannot be stored.
    async fn finish(self: Box<Self>) -> io::Result<Blob>;
}

/// A stored content that is being read. It stays readable if it is deleted meanwhile.
#[async_trait]
pub trait BlobReader: Send + Sync {
    /// The number of bytes.
    fn bytes(&self) -> u64;

    /// At most so many bytes from this offset; empty at the end.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn read(&self, offset: u64, most: usize) -> io::Result<Bytes>;
}
