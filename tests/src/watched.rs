use std::path::Path;

use local::{DataFolder, Issuer, TokenClaims};
use serde_json::Value;
use shared::tenancy::Role;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::process::Command;

use crate::{Collector, Instance, Log, User};

/// A whole installation as a process of its own, all of whose log is read, and which tells a [`Collector`] of its traces and
/// failures.
pub struct Watched {
    instance: Instance,
    collector: Collector,
    log: Log,
    folder: TempDir,
    http: reqwest::Client,
}

impl Watched {
    /// One with these variables. Starts the program `instance`.
    pub async fn start(binary: &str, variables: &[(&str, &str)]) -> Self {
        let (collector, folder) = (Collector::start().await, tempfile::tempdir().unwrap());
        let (otlp, dsn) = (collector.otlp(), collector.dsn());
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
            ("SENTRY_DSN", &dsn),
            ("LOG_FORMAT", "json"),
            ("LOG_LEVEL", "info,dynoxide=error"),
        ];
        let mut command = Command::new(binary);
        command.arg(folder.path()).arg("workers").envs(own);
        let (instance, log) = Instance::start_and_read(&mut command, variables).await;
        Self { instance, collector, log, folder, http: reqwest::Client::new() }
    }

    /// What it tells of itself.
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// The process.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Someone who speaks to it.
    pub fn user(&self, tenant: &str, user: &str, role: Role) -> User<'_> {
        let issuer = Issuer::open(&DataFolder::open(self.folder.path()).unwrap()).unwrap();
        let claims = TokenClaims { tenant: tenant.parse().unwrap(), user: user.parse().unwrap(), role };
        let token = issuer.token(&claims, OffsetDateTime::now_utc()).unwrap();
        User::new(&self.http, self.instance.url().to_owned(), Some(token))
    }

    /// Someone with this credential, or none.
    pub fn bearer(&self, token: Option<&str>) -> User<'_> {
        User::new(&self.http, self.instance.url().to_owned(), token.map(str::to_owned))
    }

    /// The lines of its log so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// The same as JSON, for which each line must be.
    pub fn log(&self) -> Vec<Value> {
        self.log.values()
    }
}
