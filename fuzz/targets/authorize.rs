//! Authorization requests: the query that an application sends a browser with. Nobody is ever sent to an address that
//! is not registered, and what is read twice says the same.

#![no_main]

use kernel::Name;
use libfuzzer_sys::fuzz_target;
use security_sso::Application;
use security_sso::plan::authorize::{Wrong, check, client};
use security_sso::plan::params::Params;

fuzz_target!(|bytes: &[u8]| {
    let Ok(words) = std::str::from_utf8(bytes) else { return };
    let Ok(params) = Params::read(words) else { return };
    assert_eq!(Params::read(&params.query_without(&[])).as_ref(), Ok(&params));
    let redirects = vec!["https://wiki.example.com/back".to_owned(), "http://127.0.0.1/back".to_owned()];
    let app = Application { redirects, ..Application::default() };
    let name = client(&params).unwrap_or_else(|_| Name::parse("wiki").expect("a name"));
    let to = match check(&params, &name, &app) {
        Ok(asked) => asked.back.to,
        Err(Wrong::Back(back, _)) => back.to,
        Err(Wrong::Here(_)) => return,
    };
    let port = to.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/back"));
    let near = port.is_some_and(|port| port.parse::<u16>().is_ok());
    assert!(near || app.redirects.contains(&to), "{to}");
});
