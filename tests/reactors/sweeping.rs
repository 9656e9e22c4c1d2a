//! The sweeper of contents: what invoices and credit notes name is kept, what nothing names is deleted.

use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use porttask_app::operations::sweeper::BlobSweeper;
use porttask_domain::{
    OrganizationId,
    billing::{
        CreditNote, Invoice,
        billing_account::Collection,
        billing_document::{CreditNoteId, InvoiceId},
        credit_note, invoice,
    },
};
use porttask_infra::blobs::BlobFolder;
use porttask_projections::models;
use porttask_runtime::{
    ledger::Database,
    new_id,
    ports::blobs::{Blob, BlobStore},
};
use porttask_tests::{Node, Store, on_both_engines};

use super::invoices::{document, sample};

on_both_engines! {
    files_of_invoices_and_credit_notes_are_kept,
}

async fn stored(blobs: &BlobFolder, organization: OrganizationId, content: &'static str) -> Blob {
    let mut writer = blobs.begin(organization).await.unwrap();
    writer.write(content.into()).await.unwrap();
    writer.finish().await.unwrap()
}

/// Makes all files in a folder two days old.
fn age(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => age(&path),
            false => {
                let before = SystemTime::now() - Duration::from_secs(2 * 24 * 3_600);
                File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
            }
        }
    }
}

async fn files_of_invoices_and_credit_notes_are_kept(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.acme().await;
    let (home, request) = (acme.organization, acme.request());
    let place = tempfile::tempdir().unwrap();
    let blobs = Arc::new(BlobFolder::new(place.path().to_owned()));
    let mut kept = Vec::new();
    for content in ["a pdf", "its xml", "the pdf of a note", "the xml of a note"] {
        kept.push(stored(&blobs, home, content).await);
    }
    let stray = stored(&blobs, home, "named by nothing").await;
    let (id, note): (InvoiceId, CreditNoteId) = (new_id(), new_id());
    let (kind, collection) = (invoice::InvoiceKind::Manual, Collection::Automatic);
    let document = document();
    let issue = invoice::Command::Issue { kind, collection, document, dunning: Vec::new(), replaces: None };
    let file = |pdf: &Blob, xml: &Blob| (pdf.sha256.clone(), pdf.bytes, Some(xml.sha256.clone()));
    let (sha256, bytes, xml_sha256) = file(&kept[0], &kept[1]);
    for command in [issue, invoice::Command::StorePdf { sha256, bytes, xml_sha256 }] {
        node.executor.execute::<Invoice>(id, command, &request).await.unwrap();
    }
    let credit_note::Event::Issued { note: issued } = sample("credit_note.issued.v1") else { panic!() };
    let (sha256, bytes, xml_sha256) = file(&kept[2], &kept[3]);
    let store = credit_note::Command::StorePdf { sha256, bytes, xml_sha256 };
    for command in [credit_note::Command::Issue(issued), store] {
        node.executor.execute::<CreditNote>(note, command, &request).await.unwrap();
    }
    let views = node.views(models()).await;
    views.run();
    let files = Arc::<BlobFolder>::clone(&blobs);
    let sweeper = BlobSweeper::new(Arc::<dyn Database>::clone(&node.log), views, files);
    assert_eq!(sweeper.sweep().await.unwrap().contents, 0, "nothing is old");
    age(place.path());
    assert_eq!(sweeper.sweep().await.unwrap().contents, 1);
    for blob in &kept {
        assert!(blobs.open(home, &blob.sha256).await.unwrap().is_some(), "{blob:?}");
    }
    assert!(blobs.open(home, &stray.sha256).await.unwrap().is_none());
}
