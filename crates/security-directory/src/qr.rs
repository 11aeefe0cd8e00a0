//! Pictures that a phone reads (ISO/IEC 18004), as one path of an SVG: no style, no script, no file of its own.

use maud::{Markup, html};
use qrcode::{EcLevel, QrCode};
use web::Reader;

/// Modules of white around it, as the standard asks for.
const QUIET: usize = 4;

/// The picture of some words; nothing when they are too long for one.
pub(crate) fn draw(r: &Reader, words: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(words, EcLevel::M) else {
        return html! {};
    };
    let (wide, path) = path(code.width(), &code.into_colors());
    let side = wide + 2 * QUIET;
    html! {
        svg.qr viewBox=(format!("0 0 {side} {side}")) width="200" height="200" role="img" shape-rendering="crispEdges"
            aria-label=(r.t("picture for the authenticator app", "인증 앱용 그림")) {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}

/// Each row's dark runs as flat boxes.
fn path(wide: usize, colors: &[qrcode::Color]) -> (usize, String) {
    let mut path = String::new();
    for (y, row) in colors.chunks(wide.max(1)).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&qrcode::Color::Dark) {
                let long = run.len();
                path.push_str(&format!("M{} {}h{long}v1h-{long}z", x + QUIET, y + QUIET));
            }
            x += run.len();
        }
    }
    (wide, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_modules_that_it_should() {
        let code = QrCode::with_error_correction_level("otpauth://totp/x", EcLevel::M).unwrap();
        let (wide, colors) = (code.width(), code.into_colors());
        let (_, path) = path(wide, &colors);
        let dark = colors.iter().filter(|c| **c == qrcode::Color::Dark).count();
        let drawn: usize = path
            .split('M')
            .skip(1)
            .map(|run| run.split('h').nth(1).unwrap().split('v').next().unwrap())
            .map(|long| long.parse::<usize>().unwrap())
            .sum();
        assert_eq!(drawn, dark);
        assert!(path.starts_with("M4 4h7v1h-7z"), "the first finder's top: {path}");
        let r = Reader::default();
        assert!(draw(&r, &"x".repeat(5000)).into_string().is_empty());
        assert_eq!(web::testing::complaint(&draw(&r, "x").into_string()), None);
    }
}
