//! Encrypted connections, and certificates that are not to be trusted.

use std::path::Path;

use porttask_runtime::log::OrganizationId;
use porttask_tests::{Engine, Store, run, simple};
use private_postgres::{Options, PrivatePostgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{assert_names, rejection};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A server's certificate and key, for a name or an address.
fn certificate(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (parameters.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn server(tls: (String, String)) -> PrivatePostgres {
    tokio::task::block_in_place(|| PrivatePostgres::with(Options { tls: Some(tls), ..Options::default() })).unwrap()
}

fn written(directory: &Path, name: &str, authority: &Authority) -> String {
    let file = directory.join(name);
    std::fs::write(&file, authority.pem()).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn assert_works(url: String) {
    let store = Store::at(Engine::Postgres, &url);
    let log = store.open().await;
    log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
    assert!(!log.heads().await.unwrap().is_empty());
}

#[test]
fn a_server_is_trusted_by_its_root_and_name() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (right, wrong) = (authority("right"), authority("wrong"));
        let server = server(certificate(&right, "127.0.0.1"));
        let root = written(directory.path(), "right.pem", &right);
        let other_root = written(directory.path(), "wrong.pem", &wrong);
        let url = |parameters: &str| format!("{}?{parameters}", server.url("postgres"));

        assert_works(url(&format!("sslmode=verify-full&sslrootcert={root}"))).await;
        assert_works(url(&format!("sslmode=verify-ca&sslrootcert={root}"))).await;
        assert_works(url("sslmode=require")).await;
        assert_works(url("sslmode=disable")).await;
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl";
        let log = Store::at(Engine::Postgres, url("sslmode=require")).open().await;
        log.append(simple(OrganizationId::PLATFORM, "a")).await.unwrap();
        assert_ne!(server.psql("postgres", encrypted).unwrap(), "0", "the connection is not encrypted");

        for mode in ["verify-full", "verify-ca"] {
            let error =
                rejection(&Store::at(Engine::Postgres, url(&format!("sslmode={mode}&sslrootcert={other_root}")))).await;
            assert_names(&error, &["certificate", "sslrootcert"]);
            // The system knows nothing of our authority.
            let error = rejection(&Store::at(Engine::Postgres, url(&format!("sslmode={mode}")))).await;
            assert_names(&error, &["certificate", "sslrootcert"]);
        }
        let error = rejection(&Store::at(Engine::Postgres, url("sslmode=verify-full&sslrootcert=/nowhere.pem"))).await;
        assert_names(&error, &["/nowhere.pem"]);
    });
}

#[test]
fn a_server_with_the_certificate_of_another_is_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let right = authority("right");
        let server = server(certificate(&right, "database.example.org"));
        let root = written(directory.path(), "right.pem", &right);
        let url = |mode| format!("{}?sslmode={mode}&sslrootcert={root}", server.url("postgres"));
        assert_works(url("verify-ca")).await;
        let error = rejection(&Store::at(Engine::Postgres, url("verify-full"))).await;
        assert_names(&error, &["certificate", "sslrootcert"]);
    });
}

#[test]
fn a_server_without_encryption_is_refused_when_encryption_is_required() {
    run(async {
        for mode in ["require", "verify-full"] {
            let url = format!("{}?sslmode={mode}", PrivatePostgres::shared().fresh_database());
            let error = rejection(&Store::at(Engine::Postgres, url)).await;
            assert_names(&error, &["tls", "sslmode"]);
        }
    });
}
