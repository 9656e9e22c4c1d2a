-- Whether a node has the same folder for documents as all others. Nodes of earlier versions do not say: as if they had.
ALTER TABLE ledger.nodes ADD COLUMN shares_documents boolean NOT NULL DEFAULT true;
