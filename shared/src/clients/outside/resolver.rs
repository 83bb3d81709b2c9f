use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::Reach;

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("the name stands for addresses that are not allowed")]
    NotAllowed,
    #[error("there is no host by this name")]
    Unknown,
}

/// Passes on those of another resolver's addresses that are allowed. The connection is made to what it passes on, so a name
/// that stands for something else a moment later gains nothing.
pub(super) struct Guarded {
    inner: Arc<dyn Resolve>,
    reach: Reach,
}

impl Guarded {
    pub(super) fn new(inner: Arc<dyn Resolve>, reach: Reach) -> Self {
        Self { inner, reach }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolving, reach) = (self.inner.resolve(name), self.reach);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await.map_err(|_| Unresolved::Unknown)?.collect();
            if addresses.is_empty() {
                return Err(Unresolved::Unknown.into());
            }
            let allowed: Vec<_> = addresses.into_iter().filter(|address| reach.admits(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Unresolved::NotAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The resolver of the operating system.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
