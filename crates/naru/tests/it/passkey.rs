//! Passkeys in a real browser: made on one's own page, and shown instead of a password and a code.

use crate::shop;
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::{Browser, Look, Naru, totp};

const PASSWORD: &str = "otter lantern gravel mint";
const WIDE: Look = Look { width: 1280, lang: "en", theme: "light" };

/// Where browsers offer passkeys.
fn home(naru: &Naru) -> String {
    format!("http://localhost:{}", naru.address().unwrap().port())
}

/// `ada`, who comes by an invitation and has chosen her password.
fn invited(naru: &Naru, browser: &mut Browser) {
    let made = naru.json(&["user", "invite", "ada"]).unwrap();
    let link = made.to_string();
    let code = link.split("/invitation/").nth(1).unwrap();
    let code: String =
        code.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    browser.go(&format!("{}/invitation/{code}", home(naru))).unwrap();
    browser.fill("#password", PASSWORD).unwrap();
    browser.fill("#again", PASSWORD).unwrap();
    browser.led_on(|b| b.press(&["Enter"])).unwrap();
}

/// Whose name is at the top of the page.
fn who(browser: &mut Browser) -> String {
    let name = "document.querySelector('header .menu summary span')?.innerText ?? 'nobody'";
    browser.eval(name).unwrap().as_str().unwrap_or("nobody").to_owned()
}

fn by_password(naru: &Naru, browser: &mut Browser) {
    browser.go(&format!("{}/sign-in", home(naru))).unwrap();
    browser.fill("#name", "ada").unwrap();
    browser.fill("#password", PASSWORD).unwrap();
    browser.led_on(|b| b.press(&["Enter"])).unwrap();
}

#[test]
fn a_passkey_made_in_a_browser_signs_in_alone_and_without_it_a_password_and_a_code_do() {
    let naru = shop();
    let mut browser = Browser::start().unwrap();
    browser.look(&home(&naru), None, WIDE).unwrap();
    browser.with_passkeys().unwrap();
    invited(&naru, &mut browser);
    assert_eq!(who(&mut browser), "ada");

    browser.go(&format!("{}/account/sign-in", home(&naru))).unwrap();
    browser.until("!document.querySelector('[data-passkey=add]').hidden").unwrap();
    browser.fill("#passkey-name", "phone").unwrap();
    browser.led_on(|b| b.click("[data-passkey=add] button")).unwrap();
    assert!(browser.words().unwrap().contains("phone"), "the passkey is listed");

    // An app beside it, by the secret that the page shows.
    browser.go(&format!("{}/account/totp", home(&naru))).unwrap();
    let secret = browser.eval("document.querySelector('.secret-words').innerText").unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let code = totp(secret.as_str().unwrap(), i64::try_from(now).unwrap());
    browser.fill("input[name=code]", &code).unwrap();
    browser.led_on(|b| b.press(&["Enter"])).unwrap();
    assert_eq!(browser.complaints(), Vec::<String>::new(), "scripts and policy get along");

    // A browser that was never here, with her phone.
    browser.forget().unwrap();
    browser.go(&format!("{}/sign-in", home(&naru))).unwrap();
    assert_eq!(who(&mut browser), "nobody");
    browser.complaints();
    browser.until("!document.querySelector('[data-passkey=sign-in]').hidden").unwrap();
    browser.led_on(|b| b.click("[data-passkey=sign-in] button")).unwrap();
    assert_eq!(who(&mut browser), "ada");

    // And without it: the password opens nothing yet, the code does.
    browser.forget().unwrap();
    by_password(&naru, &mut browser);
    assert_eq!(who(&mut browser), "nobody");
    browser.complaints();
    let later = i64::try_from(now).unwrap() + 30;
    browser.fill("input[name=code]", &totp(secret.as_str().unwrap(), later)).unwrap();
    browser.led_on(|b| b.press(&["Enter"])).unwrap();
    assert_eq!(who(&mut browser), "ada");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
