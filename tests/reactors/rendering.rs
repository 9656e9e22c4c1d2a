//! Documents whose files were never rendered, because the reactor began behind them: asking for one is enough.

use porttask_app::billing::invoices::rendering::{Rendering, Wanted, request};
use porttask_domain::billing::billing_document::{CreditNoteId, InvoiceId};
use porttask_runtime::{
    ledger::Database,
    new_id, reactors,
    tasks::{Task, TaskFilter},
};
use porttask_tests::{Node, Store, on_both_engines};
use std::sync::Arc;

on_both_engines!(a_document_without_files_is_rendered_when_it_is_asked_for);

async fn a_document_without_files_is_rendered_when_it_is_asked_for(store: Store) {
    let node = Node::on(&store).await;
    let acme = node.found("acme.example").await;
    let home = acme.organization;
    let database: Arc<dyn Database> = Arc::<dyn Database>::clone(&node.log);
    let tasks = async || -> Vec<Task> { database.tasks(&TaskFilter::default(), None, 10).await.unwrap() };
    let (invoice, note): (InvoiceId, CreditNoteId) = (new_id(), new_id());
    // A reactor that never ran begins at the first event by itself.
    request(&database, home, Wanted::Invoice(invoice)).await.unwrap();
    assert_eq!(tasks().await, []);
    let heads = database.heads().await.unwrap();
    reactors::begin_behind(&database, Rendering::NAME, &heads).await.unwrap();
    let before = database.cursors(Rendering::NAME).await.unwrap();
    for _ in 0..2 {
        request(&database, home, Wanted::Invoice(invoice)).await.unwrap();
        request(&database, home, Wanted::CreditNote(note)).await.unwrap();
    }
    let waiting = tasks().await;
    let mut found: Vec<_> = waiting.iter().map(|task| (task.kind.as_str(), task.subject, task.organization)).collect();
    found.sort();
    assert_eq!(found, [("render_credit_note", note.0, home), ("render_invoice", invoice.0, home)], "each once");
    assert_eq!(database.cursors(Rendering::NAME).await.unwrap(), before, "the cursor stays");
}
