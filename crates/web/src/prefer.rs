//! Language and colours: two cookies, set by plain forms.

use crate::Theme;
use kernel::{Error, Result};
use naru_http::{Call, Response, found};

/// A year, in seconds.
const LASTS: u32 = 365 * 24 * 3600;

/// `POST /preferences` with `lang` or `theme`, and `back`: sets the cookie and leads back.
///
/// # Errors
/// As reading the form.
pub async fn prefer(mut call: Call) -> Result<Response> {
    let form = call.form().await?;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or("");
    let mut response = found(back(field("back")))?;
    let mut set = |name: &str, value: &str| {
        let cookie = format!("{name}={value}; Path=/; Max-Age={LASTS}; SameSite=Lax");
        let value = cookie.parse().map_err(Error::internal)?;
        response.headers_mut().append("set-cookie", value);
        Ok::<(), Error>(())
    };
    if let lang @ ("en" | "ko") = field("lang") {
        set("naru_lang", lang)?;
    }
    if !field("theme").is_empty() {
        set("naru_theme", Theme::parse(field("theme")).word())?;
    }
    Ok(response)
}

/// Where a form may lead back to: a place of our own only, since `//elsewhere` and `https://elsewhere`
/// would lead a reader away.
pub fn back(to: &str) -> &str {
    let ours = to.starts_with('/')
        && !to.starts_with("//")
        && !to.contains('\\')
        && to.bytes().all(|b| (0x21..0x7f).contains(&b));
    if ours { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::back;

    #[test]
    fn a_form_leads_back_to_our_own_pages_only() {
        for (to, want) in [
            ("/projects/shop?x=1", "/projects/shop?x=1"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(back(to), want, "{to:?}");
        }
    }
}
