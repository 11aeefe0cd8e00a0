//! What every request may need.

use crate::assets::Assets;
use crate::{Asset, Front, Head, Route};
use account::Accounts;
use kernel::{Error, KindDef, Result, text};
use policy::Policy;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use store::Store;

/// Draws an error for a browser. The page shell gives this; without it errors are JSON.
pub type ErrorPage = fn(&Head, &Error) -> String;

pub struct SiteOptions {
    pub store: Store,
    pub accounts: Accounts,
    pub policy: Policy,
    pub kinds: Vec<KindDef>,
    pub routes: Vec<Route>,
    pub assets: Vec<Asset>,
    pub error_page: Option<ErrorPage>,
}

/// Shared by all requests; made once at boot.
pub struct Site {
    pub store: Store,
    pub accounts: Accounts,
    pub policy: Policy,
    pub kinds: Vec<KindDef>,
    pub routes: Vec<Route>,
    pub(crate) assets: Assets,
    pub(crate) error_page: Option<ErrorPage>,
    pub(crate) front: Front,
    parts: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Site {
    pub fn new(options: SiteOptions) -> Site {
        let mut routes = options.routes;
        routes.extend_from_slice(crate::generic::ROUTES);
        routes.extend_from_slice(crate::openapi::ROUTES);
        routes.extend_from_slice(crate::assets::ROUTES);
        Site {
            store: options.store,
            accounts: options.accounts,
            policy: options.policy,
            kinds: options.kinds,
            routes,
            assets: Assets::new(&options.assets),
            error_page: options.error_page,
            front: Front::default(),
            parts: HashMap::new(),
        }
    }

    /// How the listener meets the world.
    pub fn fronted(mut self, front: Front) -> Site {
        self.front = front;
        self
    }

    /// Gives a part's opened state to its handlers, which find it by its type.
    pub fn with<T: Any + Send + Sync>(mut self, state: T) -> Site {
        self.parts.insert(TypeId::of::<T>(), Arc::new(state));
        self
    }

    pub fn part<T: Any + Send + Sync>(&self) -> Result<Arc<T>> {
        let found = self.parts.get(&TypeId::of::<T>()).cloned();
        found
            .and_then(|p| p.downcast::<T>().ok())
            .ok_or_else(|| Error::internal(format!("{} is not opened", std::any::type_name::<T>())))
    }

    /// A kind by its plural (`services`) or its own name in any case (`Service`).
    pub fn kind(&self, words: &str) -> Result<&KindDef> {
        self.kinds
            .iter()
            .find(|k| k.plural == words || k.kind.eq_ignore_ascii_case(words))
            .ok_or_else(|| {
                let shown = kernel::shown(words);
                Error::not_found(
                    "kind.unknown",
                    text!("there is no kind “{shown}”", "“{shown}” 종류는 없습니다"),
                )
                .hint(kernel::Text::fixed(
                    "`naru kinds` lists them",
                    "`naru kinds`가 목록을 보여 줍니다",
                ))
            })
    }

    /// The address of an asset, with its hash, for a page.
    pub fn asset(&self, name: &str) -> String {
        self.assets.address(name)
    }
}
