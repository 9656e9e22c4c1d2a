//! The web console, which calls the API in process.

use axum::{Router, http::HeaderMap};
use porttask_api::Pages;
use porttask_console::Settings;
use porttask_infra::log::Storage;

use crate::{
    error::Error,
    master_key::{self, Given},
    storage::StorageArgs,
};

/// How the console is embedded in this service.
pub(crate) fn settings(
    storage: &StorageArgs,
    public_url: &str,
    mail_folder: Option<String>,
) -> Result<Settings, Error> {
    let master_key = match (storage.master_key()?, storage.storage()?) {
        (None, Storage::Sqlite(directory)) => {
            Some((master_key::file(&directory), Given::existing(storage)?.keys.current_id()))
        }
        (Some(_), _) | (None, Storage::Postgres(_)) => None,
    };
    let public_url = public_url.trim_end_matches('/').to_owned();
    Ok(Settings { public_url, inherited: porttask_api::inherited, mail_folder, master_key })
}

/// The pages, and how their requests are limited.
pub(crate) fn pages(settings: Settings) -> impl FnOnce(Router) -> Pages {
    move |api| {
        let of_cookies = settings.clone();
        Pages {
            router: porttask_console::pages(api, settings),
            public_posts: &porttask_console::PUBLIC_POSTS,
            token: std::sync::Arc::new(move |headers: &HeaderMap| porttask_console::token(&of_cookies, headers)),
            readable: porttask_console::readable,
        }
    }
}
