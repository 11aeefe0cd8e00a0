//! People, groups and service accounts.

mod field;
mod group;
mod key;
mod service;
mod user;

pub use group::{Group, GroupStatus, Member};
pub use key::{PgpKey, SshKey};
pub use service::{ServiceAccount, ServiceAccountStatus};
pub use user::{Address, Mail, User, UserStatus};

use kernel::kind::{KindDef, Scope, Writer};

pub(crate) const USER: &str = "User";
pub(crate) const GROUP: &str = "Group";
pub(crate) const SERVICE: &str = "ServiceAccount";

pub static KINDS: &[KindDef] = &[
    KindDef::of::<User>(
        "users",
        Scope::Platform,
        Writer::People,
        ("a person", "사람"),
        &[
            ("TITLE", "/spec/title"),
            ("ADMIN", "/spec/administrator"),
            ("DISABLED", "/spec/disabled"),
            ("UID", "/status/uid_number"),
        ],
    ),
    KindDef::of::<Group>(
        "groups",
        Scope::Platform,
        Writer::People,
        ("people, programs and groups together", "사람, 프로그램, 그룹의 모임"),
        &[("TITLE", "/spec/title"), ("GID", "/status/gid_number")],
    ),
    KindDef::of::<ServiceAccount>(
        "serviceaccounts",
        Scope::Platform,
        Writer::People,
        ("a program with an account of its own", "자기 계정을 가진 프로그램"),
        &[("TITLE", "/spec/title"), ("PROJECT", "/spec/project"), ("DISABLED", "/spec/disabled")],
    ),
    crate::credential::SignInRules::DEF,
];
