//! Documents: recorded as an upload records them, with their contents.

use jiff::Timestamp;
use porttask_app::operations::documents::check_subject;
use porttask_domain::operations::{
    Document,
    document::{Command, ContentType, DocumentId, DocumentName, Subject},
};
use porttask_runtime::execute::{Request, Tx};

use super::Site;
use crate::{build::Error, documents::DocumentStep};

impl Site {
    pub(super) async fn document(
        &self,
        document: DocumentId,
        step: &DocumentStep,
        request: &Request,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (call, name, content) = match step {
            DocumentStep::Upload { call, name, content } => (*call, *name, content.as_bytes().to_vec()),
            DocumentStep::Delete => return self.execute::<Document>(document, Command::Delete, request).await,
        };
        let (subject, name, bytes) =
            (Subject::PortCall(self.plan.calls[call].id), DocumentName::new(name), content.len() as u64);
        let content_type = ContentType::sniff(&content, name.as_str());
        let start = &Command::StartUpload { document, name, bytes, subject: Some(subject), now };
        let work = move |tx: Tx| async move {
            check_subject(&tx, subject).await?.map_err(|fault| Error::Text(fault.to_string()))?;
            Ok::<_, Error>(tx.decide_new::<Document>(document, start).await?)
        };
        self.executor.transact(request, work).await?;
        let mut writer = self.blobs.begin(self.plan.organization).await?;
        writer.write(content.into()).await?;
        let sha256 = writer.finish().await?.sha256;
        self.execute::<Document>(document, Command::Store { sha256, bytes, content_type }, request).await
    }
}
