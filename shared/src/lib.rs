//! What two or more of Ragline's functions need: configuration, clients, tenancy, storage, embedding and retrieval.
//!
//! The direction is functions -> shared, never back. Nothing here builds a client except [`clients`], and no storage
//! key is made without a [`tenancy::TenantId`].

pub mod acting;
pub mod audit;
pub mod auth;
pub mod budgets;
pub mod chunks;
pub mod clients;
pub mod collections;
pub mod config;
pub mod conversations;
pub mod documents;
pub mod door;
pub mod editions;
pub mod embed;
pub mod error;
pub mod http;
pub mod keys;
pub mod language;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod rerank;
pub mod retrieval;
pub mod signing;
pub mod tables;
pub mod tasks;
pub mod telemetry;
pub mod tenancy;
pub mod tenants;
pub mod terms;
pub mod texts;
pub mod usage;
pub mod users;
pub mod webhooks;
